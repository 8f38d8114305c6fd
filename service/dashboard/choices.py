"""The lists of the pages' forms: their words are those of the library."""

import re
from collections.abc import Iterator, Mapping
from html import escape

from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import (
    AlignmentKind,
    AlignmentName,
    Architecture,
    ExponentQuantity,
    ExponentRole,
    Layout,
    Optimizer,
    Parameterization,
)

#: By list of the form: the rules that it offers.
RULES: Mapping[str, About] = {
    "depth_rule": About.DEPTH,
    "batch_rule": About.BATCH,
    "tokens_rule": About.TOKENS,
    "decay_rule": About.WEIGHT_DECAY,
}
#: Of each list of the form by its name: every word, with what the page calls it.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "parameterization": {word.value: word.meaning for word in Parameterization},
    "optimizer": {word.value: record.label for word, record in OPTIMIZERS.items()},
    "alignment": {word.value: word.value for word in AlignmentName},
    "layout": {word.value: word.meaning for word in Layout},
    "quantity": {word.value: word.value.replace("_", " ") for word in ExponentQuantity},
    "exponent_role": {word.value: word.value for word in ExponentRole},
    "alignment_kind": {word.value: word.value for word in AlignmentKind},
    "proxy_architecture": {word.value: word.value for word in Architecture},
    **{name: {word: word.replace("_", " ") for word in BY_WORD[about]} for name, about in RULES.items()},
}
#: Of a list that has them: what each word means.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "quantity": {word.value: f"{word.meaning}, ∝ {word.law}" for word in ExponentQuantity},
}
CHOSEN = {Optimizer.ADAM.value}  # the words that the form begins with, where they are not the first of their list
_OF_TRAINING = frozenset(
    {"timescale", "power_lines"}
)  # rules of decay that need the batch and the tokens, but set neither

#: A list may begin with an option of the page's, such as "none", and a list to compare with has the words of its other.
_LIST = re.compile(r'(<select name="(?:compare_)?(\w+)">(<option value="">[^<]*</option>)?)<!-- options -->')


def with_choices(template: str, choices: Mapping[str, Mapping[str, str]] = CHOICES) -> str:
    """Return a page with an option for each word, in every list that its template leaves open.

    >>> with_choices('<select name="fruit"><!-- options --></select>', {"fruit": {"fig": "Fig"}})
    '<select name="fruit"><option value="fig">Fig</option></select>'
    """
    return _LIST.sub(lambda found: found[1] + _options(found[2], choices[found[2]], first=not found[3]), template)


def _options(name: str, words: Mapping[str, str], *, first: bool) -> str:
    """first: whether the list begins with a word, so that one may be chosen from the start."""
    about = RULES.get(name)
    return "".join(
        f'<option value="{escape(word)}"{" selected" if first and word in CHOSEN else ""}'
        f"{''.join(_said(about, word)) if about else _meant(name, word)}>{escape(label)}</option>"
        for word, label in words.items()
    )


def _meant(name: str, word: str) -> str:
    meaning = MEANINGS.get(name, {}).get(word)
    return f' title="{escape(meaning)}"' if meaning else ""


def _said(about: About, word: str) -> Iterator[str]:
    """What the page needs of a rule: its formula with the source, and the sizes that it needs at both ends."""
    rule = BY_WORD[about][word]
    yield f' title="{escape(f"{rule.formula} ({rule.source})")}"'
    needs = sorted({*rule.covers, *({"batch_tokens", "tokens"} if word in _OF_TRAINING else ())})
    if needs:
        yield f' data-needs="{escape(" ".join(needs))}"'
