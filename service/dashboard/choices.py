"""The lists of the pages' forms: their words are those of the library."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from types import MappingProxyType

from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.theory.optimizers import OPTIMIZERS, update_scale
from widthwise.vocabulary import AlignmentName, Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode

#: By list of the form: the rules that it offers.
RULES: Mapping[str, About] = {
    "depth_rule": About.DEPTH,
    "batch_rule": About.BATCH,
    "tokens_rule": About.TOKENS,
    "schedule_rule": About.SCHEDULE,
    "experts_rule": About.EXPERTS,
    "rank_rule": About.RANK,
    "decay_rule": About.WEIGHT_DECAY,
}
#: Of each list of the form by its name: every word, with what the page calls it.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "parameterization": {word.value: word.meaning for word in Parameterization},
    "optimizer": {word.value: record.label for word, record in OPTIMIZERS.items()},
    "alignment": {word.value: word.value for word in AlignmentName},
    "layout": {word.value: word.meaning for word in Layout},
    "form": {word.value: word.value.replace("_", " ") for word in Form},
    "weight_decay_mode": {word.value: f"{word.value}: {word.meaning}" for word in WeightDecayMode},
    **{name: {word: word.replace("_", " ") for word in BY_WORD[about]} for name, about in RULES.items()},
}
CHOSEN = {Optimizer.ADAM.value}  # the words that the form begins with, where they are not the first of their list
#: Sizes that a rule reads at both ends, besides those that it covers.
_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "timescale": frozenset({"batch_tokens", "tokens"}),
        "power_lines": frozenset({"batch_tokens", "tokens", "parameters"}),
        "keep_steps": frozenset({"steps"}),
        "keep_share": frozenset({"steps"}),
    }
)

#: A list may begin with an option of the page's, such as "none", and a list to compare with has the words of its other.
_LIST = re.compile(r'(<select name="(?:compare_)?(\w+)">(<option value="">[^<]*</option>)?)<!-- options -->')
_EACH_ROLE = re.compile(r"<!-- each role -->(.*?)<!-- /each role -->", re.DOTALL)


def with_choices(template: str, choices: Mapping[str, Mapping[str, str]] = CHOICES) -> str:
    """Return a page with an option for each word, in every list that its template leaves open.

    >>> with_choices('<select name="fruit"><!-- options --></select>', {"fruit": {"fig": "Fig"}})
    '<select name="fruit"><option value="fig">Fig</option></select>'
    """
    return _LIST.sub(lambda found: found[1] + _options(found[2], choices[found[2]], first=not found[3]), template)


def with_roles(template: str) -> str:
    """Return a page with what its template has for each role, once for each; ROLE stands for its word.

    >>> with_roles("<!-- each role -->ROLE <!-- /each role -->")
    'embedding hidden readout vector scalar '
    """
    return _EACH_ROLE.sub(lambda found: "".join(found[1].replace("ROLE", role.value) for role in Role), template)


def _options(name: str, words: Mapping[str, str], *, first: bool) -> str:
    """first: whether the list begins with a word, so that one may be chosen from the start."""
    return "".join(
        f'<option value="{escape(word)}"{" selected" if first and word in CHOSEN else ""}'
        f"{''.join(_said(name, word))}>{escape(label)}</option>"
        for word, label in words.items()
    )


def _said(name: str, word: str) -> Iterator[str]:
    """What the page needs of a choice: a rule's formula with the source, and the fields that the choice brings."""
    if name in RULES:
        rule = BY_WORD[RULES[name]][word]
        yield f' title="{escape(f"{rule.formula} ({rule.source})")}"'
        needs = sorted(rule.covers | _READ.get(word, frozenset()))
    else:
        cuts = name == "optimizer" and update_scale(Optimizer(word), Role.HIDDEN).preconditioner is not None
        needs = ["block_size"] if cuts else []
    if needs:
        yield f' data-needs="{escape(" ".join(needs))}"'
