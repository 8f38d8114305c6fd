"""The dashboard's page: its lists of words are those of the library."""

import re
from collections.abc import Mapping
from html import escape

from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import AlignmentName, Optimizer, Parameterization

#: Of each list of the form by its name: every word, with what the page calls it.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "parameterization": {word.value: word.meaning for word in Parameterization},
    "optimizer": {word.value: record.label for word, record in OPTIMIZERS.items()},
    "alignment": {word.value: word.value for word in AlignmentName},
}
CHOSEN = {Optimizer.ADAM.value}  # the words that the form begins with, where they are not the first of their list

_LIST = re.compile(r'(<select name="(\w+)">)<!-- options -->')


def dashboard_page(template: str, choices: Mapping[str, Mapping[str, str]] = CHOICES) -> str:
    """Return the page with an option for each word, in every list that its template leaves open.

    >>> dashboard_page('<select name="fruit"><!-- options --></select>', {"fruit": {"fig": "Fig"}})
    '<select name="fruit"><option value="fig">Fig</option></select>'
    """
    return _LIST.sub(lambda found: found[1] + _options(choices[found[2]]), template)


def _options(words: Mapping[str, str]) -> str:
    return "".join(
        f'<option value="{escape(word)}"{" selected" if word in CHOSEN else ""}>{escape(label)}</option>'
        for word, label in words.items()
    )
