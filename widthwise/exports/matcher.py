"""How trainers find a parameter's group by its name, and patterns that each of these finds exactly once.

Every export proves its patterns here, over the plan's names and over the same names with wrappers inside, before it
writes a file: a parameter that two patterns claim, or none, would train at another rate without a word.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from fnmatch import translate
from typing import NamedTuple

from widthwise.errors import InvalidInputError

#: Modules that PyTorch's wrappers put into a name: torch.compile, activation checkpointing, FSDP1.
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
#: All of them, as a pattern: names of PyTorch's own modules begin with an underscore, those of models seldom do.
OPTIONAL, STRICT = r"(?:_\w+\.)*", rf"(?:(?:{'|'.join(WRAPPERS)})\.)*"
_LISTED = 3  # groups in a message
#: Kinds of names that differ in more than numbers (chosen): models have some dozens; more would take minutes to prove.
MAX_KINDS = 2_000
_Kind = tuple[str | tuple[str, ...] | None, ...]  # the parts of a name; None: any number; several: one of these


class Matcher(StrEnum):
    """What a trainer does with its patterns and a name."""

    SEARCH_FIRST = "re.search, the first match wins"
    MATCH_FIRST = "re.match, the first match wins"
    FULLMATCH_ONE = "re.fullmatch, two matches are an error"
    FNMATCH_MERGED = "fnmatch, all matches are merged"
    FNMATCH_ONE = "fnmatch, two matches are an error"
    NAMES = "the names themselves"

    @property
    def is_glob(self) -> bool:
        """Whether its patterns are those of a shell."""
        return self in (Matcher.FNMATCH_MERGED, Matcher.FNMATCH_ONE)

    @property
    def takes_first(self) -> bool:
        """Whether an earlier pattern hides a later one."""
        return self in (Matcher.SEARCH_FIRST, Matcher.MATCH_FIRST)


class Members(NamedTuple):
    """The tensors of one group."""

    group: str
    names: Sequence[str]


class Patterns(NamedTuple):
    """What a trainer finds one group's tensors by."""

    group: str
    patterns: tuple[str, ...]


def patterns(
    groups: Sequence[Members], matcher: Matcher, *, wrapped: bool = False, prefixes: Sequence[str] = ("",)
) -> tuple[Patterns, ...]:
    """Return the patterns of each group, after `prove` has held them to the names.

    Layer numbers become one pattern if all layers share a group; else each name is one. A group has one regular
    expression, or a list of globs. wrapped: the trainer sees names with wrappers inside, which a regular expression
    allows for. prefixes: what may stand before every name.
    """
    if matcher is Matcher.NAMES:
        found = [Patterns(group.group, tuple(group.names)) for group in groups]
        prove(groups, found, matcher)
        return tuple(found)
    homes: dict[_Kind, dict[str, str]] = {}  # by template, each group that it is in, with one of its names there
    for group in groups:
        for name in group.names:
            homes.setdefault(_template(name), {}).setdefault(group.group, name)
    _refuse_many(len(homes))
    shared = {template for template, owners in homes.items() if len(owners) == 1}
    if matcher.is_glob:
        of_each = {template: next(iter(owners.values())) for template, owners in homes.items()}
        shared = {template for template in shared if _claims_its_own(template, of_each, prefixes)}
    optional = STRICT if any(part.startswith("_") for part in _parts(homes)) else OPTIONAL
    found = []
    tried = []
    for group in groups:
        own = _Own(group, shared)
        kinds = [*own.shared, *(own.names() if matcher.is_glob else own.by_numbers())]
        if matcher.is_glob:
            own_patterns = tuple(prefix + _glob(kind) for prefix in prefixes for kind in kinds)
        else:
            own_patterns = (_regex(kinds, optional if wrapped else ""),)
        found.append(Patterns(group.group, own_patterns))
        # Names of a shared template differ in numbers alone, which `\d+` and `*` do not tell apart: one is enough.
        tried.append(Members(group.group, [*own.shared.values(), *own.others]))
    _refuse_many(sum(len(own.names) for own in tried))
    prove(tried, found, matcher, wrapped=wrapped, prefixes=prefixes)
    return tuple(found)


def _refuse_many(kinds: int) -> None:
    if kinds > MAX_KINDS:
        raise InvalidInputError(
            f"the tensors have {kinds} kinds of names that no number of a layer explains, above {MAX_KINDS}; export to "
            "json, which lists every tensor",
            field="tensors",
        )


class _Own:
    """The names of one group: by templates that are its alone, and the others."""

    def __init__(self, group: Members, shared: set[_Kind]) -> None:
        self.shared: dict[_Kind, str] = {}  # with one of its names
        self.others: list[str] = []
        for name in group.names:
            template = _template(name)
            if template in shared:
                self.shared.setdefault(template, name)
            else:
                self.others.append(name)

    def names(self) -> list[_Kind]:
        return [tuple(name.split(".")) for name in self.others]

    def by_numbers(self) -> list[_Kind]:
        """Names that differ in one number as one kind."""
        found: dict[_Kind, list[str]] = {}
        for name in self.others:
            found.setdefault(_template(name), []).append(name)
        kinds: list[_Kind] = []
        for template, names in found.items():
            if template.count(None) == 1:
                at = template.index(None)
                numbers = tuple(name.split(".")[at] for name in names)
                kinds.append((*template[:at], numbers, *template[at + 1 :]))
            else:
                kinds += [tuple(name.split(".")) for name in names]
        return kinds


def _parts(kinds: Iterable[_Kind]) -> Iterator[str]:
    return (part for kind in kinds for part in kind if isinstance(part, str))


def prove(
    groups: Sequence[Members],
    found: Sequence[Patterns],
    matcher: Matcher,
    *,
    wrapped: bool = False,
    prefixes: Sequence[str] = ("",),
) -> None:
    """Raise InvalidInputError unless the trainer puts every tensor into its own group, by exactly one pattern.

    wrapped: also by its name with each wrapper at its head, after its first number, and before its last part.
    """
    exact: dict[str, list[str]] = {}
    tried: list[tuple[str, re.Pattern[str]]] = []
    for each in found:
        for pattern in each.patterns:
            if matcher is Matcher.NAMES or (matcher.is_glob and not re.search(r"[*?[]", pattern)):
                exact.setdefault(pattern, []).append(each.group)
            else:
                tried.append((each.group, re.compile(translate(pattern) if matcher.is_glob else pattern)))
    search = "search" if matcher is Matcher.SEARCH_FIRST else "match" if matcher.takes_first else "fullmatch"
    searches = [(owner, getattr(pattern, search)) for owner, pattern in tried]
    for group in groups:
        for name in group.names:
            for prefix in prefixes:
                for seen in (prefix + name, *(_wrapped(name) if wrapped else ())):
                    hits = [*exact.get(seen, ()), *(owner for owner, finds in searches if finds(seen))]
                    if matcher.takes_first:
                        hits = hits[:1]
                    elif matcher is Matcher.FNMATCH_MERGED:  # the same values twice are the same values
                        hits = sorted(set(hits))
                    if hits != [group.group]:
                        raise InvalidInputError(
                            f"tensor {seen!r} belongs to group {group.group!r}, and the trainer's matcher "
                            f"({matcher.value}) finds {', '.join(hits[:_LISTED]) or 'none'}; give the tensor another "
                            "name, or export to a format that lists names, such as torch",
                            field="tensors",
                        )


def _template(name: str) -> _Kind:
    return tuple(None if part.isascii() and part.isdigit() else part for part in name.split("."))


def _claims_its_own(template: _Kind, of_each: Mapping[_Kind, str], prefixes: Sequence[str]) -> bool:
    """Whether a template as a glob claims no name of another template, of which one is enough: `*` crosses dots."""
    found = [re.compile(translate(prefix + _glob(template))).match for prefix in prefixes]

    def claims(name: str) -> bool:
        return any(each(prefix + name) for each in found for prefix in prefixes)

    return all(other == template for other, name in of_each.items() if claims(name))


def _glob(kind: _Kind) -> str:
    return ".".join(re.sub(r"([\[?*])", r"[\1]", part) if isinstance(part, str) else "*" for part in kind)


def _regex(kinds: Sequence[_Kind], optional: str) -> str:
    each = [rf"\.{optional}".join(map(_part, kind)) for kind in kinds]
    inner = each[0] if len(each) == 1 else f"(?:{'|'.join(each)})"
    return f"^{optional}{inner}$"


def _part(part: str | tuple[str, ...] | None) -> str:
    if part is None:
        return r"\d+"
    if isinstance(part, str):
        return re.escape(part)
    return part[0] if len(part) == 1 else f"(?:{'|'.join(part)})"


def _wrapped(name: str) -> Iterator[str]:
    parts = name.split(".")
    number = next((at + 1 for at, part in enumerate(parts) if part.isdigit()), 0)
    for wrapper in WRAPPERS:
        for at in {0, min(number, len(parts) - 1), len(parts) - 1}:
            yield ".".join([*parts[:at], wrapper, *parts[at:]])
