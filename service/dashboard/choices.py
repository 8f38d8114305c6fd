"""The lists of the pages' forms: their words are those of the library."""

import re
from collections.abc import Iterator, Mapping
from html import escape

from service.store import CalibrationState
from widthwise.calibration.corpora import CORPORA
from widthwise.calibration.spec import DEFAULTS
from widthwise.explained import Explained
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import (
    AlignmentName,
    Architecture,
    EpsilonRule,
    FeedForward,
    Form,
    Layout,
    LearningRateRule,
    Measured,
    Optimizer,
    Parameterization,
    Runner,
    Search,
)

#: By list of the form: the rules that it offers.
RULES: Mapping[str, About] = {
    "depth_rule": About.DEPTH,
    "batch_rule": About.BATCH,
    "tokens_rule": About.TOKENS,
    "decay_rule": About.WEIGHT_DECAY,
}
#: By list of the form: the vocabulary whose words it explains when one is chosen.
MEANINGS: Mapping[str, type[Explained]] = {
    "search": Search,
    "architecture": Architecture,
    "learning_rate_rule": LearningRateRule,
    "epsilon_rule": EpsilonRule,
}
#: Of each list of the form by its name: every word, with what the page calls it.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "parameterization": {word.value: word.meaning for word in Parameterization},
    "optimizer": {word.value: record.label for word, record in OPTIMIZERS.items()},
    "alignment": {word.value: word.value for word in AlignmentName},
    "layout": {word.value: word.meaning for word in Layout},
    **{name: {word: word.replace("_", " ") for word in BY_WORD[about]} for name, about in RULES.items()},
    "runner": {word.value: word.meaning for word in Runner},
    "measure": {word.value: word.meaning for word in Measured},
    **{name: {word.value: word.value.replace("_", " ") for word in words} for name, words in MEANINGS.items()},
    "form": {word.value: word.value.replace("_", " ") for word in Form},
    "feed_forward": {word.value: word.value for word in FeedForward},
    "state": {word.value: word.value for word in CalibrationState},
    "dataset": CORPORA,
}
CHOSEN = {Optimizer.ADAM.value}  # the words that the form begins with, where they are not the first of their list
_OF_TRAINING = frozenset(
    {"timescale", "power_lines"}
)  # rules of decay that need the batch and the tokens, but set neither

#: Words to suggest for a field that takes others too, and words of which several may be ticked.
_SUGGESTIONS = re.compile(r'(<datalist id="(\w+)">)<!-- options -->')
_CHECKS = re.compile(r"<!-- checks (\w+) -->")
_TICKED = frozenset(DEFAULTS.measure)

#: A list may begin with an option of the page's, such as "none", and a list to compare with has the words of its other.
_LIST = re.compile(r'(<select name="(?:compare_)?(\w+)">(<option value="">[^<]*</option>)?)<!-- options -->')


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
        f"{' checked' if word in _TICKED else ''}> {escape(label)}</label>"
        for word, label in words.items()
    )


def _options(name: str, words: Mapping[str, str], *, first: bool) -> str:
    """first: whether the list begins with a word, so that one may be chosen from the start."""
    about = RULES.get(name)
    return "".join(
        f'<option value="{escape(word)}"{" selected" if first and word in CHOSEN else ""}'
        f"{''.join(_said(about, word)) if about else _meaning(name, word)}>{escape(label)}</option>"
        for word, label in words.items()
    )


def _meaning(name: str, word: str) -> str:
    return f' title="{escape(MEANINGS[name](word).meaning)}"' if name in MEANINGS else ""


def _said(about: About, word: str) -> Iterator[str]:
    """What the page needs of a rule: its formula with the source, and the sizes that it needs at both ends."""
    rule = BY_WORD[about][word]
    yield f' title="{escape(f"{rule.formula} ({rule.source})")}"'
    needs = sorted({*rule.covers, *({"batch_tokens", "tokens"} if word in _OF_TRAINING else ())})
    if needs:
        yield f' data-needs="{escape(" ".join(needs))}"'
