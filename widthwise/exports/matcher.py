"""How trainers find a parameter's group by its name, and patterns that each of these finds exactly once.

Every export proves its patterns here, over the plan's names and over the same names with wrappers inside, before it
writes a file: a parameter that two patterns claim, or none, would train at another rate without a word.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fnmatch import translate
from typing import NamedTuple

from widthwise.errors import InvalidInputError

#: Modules that PyTorch's wrappers put into a name: torch.compile, activation checkpointing, FSDP1.
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
OPTIONAL = rf"(?:(?:{'|'.join(WRAPPERS)})\.)*"
_LISTED = 3  # groups in a message
_Kind = tuple[str | None, ...]  # the parts of a name; None: any number


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
    homes: dict[_Kind, set[str]] = {}
    for group in groups:
        for name in group.names:
            homes.setdefault(_template(name), set()).add(group.group)
    shared = {template for template, found in homes.items() if len(found) == 1}
    if matcher.is_glob:
        shared = {template for template in shared if _claims_its_own(template, groups, prefixes)}
    found = []
    for group in groups:
        kinds = dict.fromkeys(t if (t := _template(name)) in shared else tuple(name.split(".")) for name in group.names)
        if matcher is Matcher.NAMES:
            own = tuple(group.names)
        elif matcher.is_glob:
            own = tuple(prefix + _glob(kind) for prefix in prefixes for kind in kinds)
        else:
            own = (_regex(list(kinds), wrapped),) if kinds else ()
        found.append(Patterns(group.group, own))
    prove(groups, found, matcher, wrapped=wrapped, prefixes=prefixes)
    return tuple(found)


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


def _claims_its_own(template: _Kind, groups: Sequence[Members], prefixes: Sequence[str]) -> bool:
    """Whether a template as a glob claims no name of another template: `*` crosses dots."""
    found = [re.compile(translate(prefix + _glob(template))).match for prefix in prefixes]

    def claims(name: str) -> bool:
        return any(each(prefix + name) for each in found for prefix in prefixes)

    return all(_template(name) == template for group in groups for name in group.names if claims(name))


def _glob(kind: _Kind) -> str:
    return ".".join("*" if part is None else re.sub(r"([\[?*])", r"[\1]", part) for part in kind)


def _regex(kinds: Sequence[_Kind], wrapped: bool) -> str:
    between = rf"\.{OPTIONAL}" if wrapped else r"\."
    each = [between.join(r"\d+" if part is None else re.escape(part) for part in kind) for kind in kinds]
    inner = each[0] if len(each) == 1 else f"(?:{'|'.join(each)})"
    return f"^{OPTIONAL if wrapped else ''}{inner}$"


def _wrapped(name: str) -> Iterator[str]:
    parts = name.split(".")
    number = next((at + 1 for at, part in enumerate(parts) if part.isdigit()), 0)
    for wrapper in WRAPPERS:
        for at in {0, min(number, len(parts) - 1), len(parts) - 1}:
            yield ".".join([*parts[:at], wrapper, *parts[at:]])
