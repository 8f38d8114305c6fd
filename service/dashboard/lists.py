"""The lists of the pages' forms as HTML."""

import re
from collections.abc import Collection, Iterator, Mapping
from html import escape

from service.dashboard.choices import CHOICES, CHOSEN, MEANINGS, READ, RULES, TICKED
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.sweeps.exports import NAMES, UNFINISHED
from widthwise.sweeps.run import FINISHED, NUMBER_AXES
from widthwise.theory.optimizers import update_scale
from widthwise.vocabulary import Optimizer, Role

#: Words to suggest for a field that takes others too, and words of which several may be ticked.
_SUGGESTIONS = re.compile(r'(<datalist id="(\w+)">)<!-- options -->')
_CHECKS = re.compile(r"<!-- checks (\w+) -->")

#: A list may begin with an option of the page's, such as "none", and a list to compare with has the words of its other.
_LIST = re.compile(r'(<select name="(?:compare_)?(\w+)">(<option value="">[^<]*</option>)?)<!-- options -->')
_EACH_ROLE = re.compile(r"<!-- each role ([\w ]*)-->(.*?)<!-- /each role -->", re.DOTALL)


def with_choices(template: str, choices: Mapping[str, Mapping[str, str]] = CHOICES) -> str:
    """Return a page with an option for each word, in every list that its template leaves open.

    >>> with_choices('<select name="fruit"><!-- options --></select>', {"fruit": {"fig": "Fig"}})
    '<select name="fruit"><option value="fig">Fig</option></select>'
    """
    page = _LIST.sub(lambda found: found[1] + _options(found[2], choices[found[2]], first=not found[3]), template)
    page = _SUGGESTIONS.sub(lambda found: found[1] + _options(found[2], choices[found[2]], first=False), page)
    return _CHECKS.sub(lambda found: _checks(found[1], choices[found[1]]), page)


def _checks(name: str, words: Mapping[str, str]) -> str:
    return "".join(
        f'<label class="check"><input type="checkbox" name="{name}" value="{escape(word)}"'
        f"{' checked' if word in TICKED else ''}> {escape(label)}</label>"
        for word, label in words.items()
    )


def with_roles(template: str) -> str:
    """Return a page with what its template has for each role, or for those it names; ROLE stands for a role's word.

    >>> with_roles("<!-- each role -->ROLE <!-- /each role -->")
    'embedding hidden readout vector scalar '
    >>> with_roles("<!-- each role hidden readout -->ROLE <!-- /each role -->")
    'hidden readout '
    """
    return _EACH_ROLE.sub(lambda found: "".join(_for_roles(found[2], found[1].split())), template)


def _for_roles(text: str, words: Collection[str]) -> Iterator[str]:
    for role in (Role(word) for word in words) if words else Role:
        yield text.replace("ROLE", role.value)


def _options(name: str, words: Mapping[str, str], *, first: bool) -> str:
    """first: whether the list begins with a word, so that one may be chosen from the start."""
    return "".join(
        f'<option value="{escape(word)}"{" selected" if first and word in CHOSEN else ""}'
        f"{''.join(_said(name, word))}>{escape(label)}</option>"
        for word, label in words.items()
    )


def _said(name: str, word: str) -> Iterator[str]:
    """What the page needs of a choice: its meaning, or a rule's formula with the source, and the fields it brings."""
    needs: list[str] = []
    if name in RULES:
        rule = BY_WORD[RULES[name]][word]
        yield f' title="{escape(f"{rule.formula} ({rule.source})")}"'
        needs = sorted(rule.covers | READ.get(word, frozenset()))
    elif name in MEANINGS:
        yield f' title="{escape(MEANINGS[name][word])}"'
    elif name == "optimizer" and update_scale(Optimizer(word), Role.HIDDEN).preconditioner is not None:
        needs = ["block_size"]
    elif name == "meaning":
        yield _column(word)
    if needs:
        yield f' data-needs="{escape(" ".join(needs))}"'


def _column(word: str) -> str:
    """What the page needs of a field of a run: the names that a table has for it, and the words of a status."""
    kind = "axis" if word in NUMBER_AXES else "field"
    ended = (
        f' data-finished="{" ".join(FINISHED)}" data-unfinished="{" ".join(UNFINISHED)}"' if word == "status" else ""
    )
    return f' data-kind="{kind}" data-names="{" ".join(NAMES.get(word, (word, "state")))}"{ended}'
