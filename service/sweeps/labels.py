"""The name and the notes of a sweep, for people: how a request states them.

They change at any time, and neither its runs nor its revision does with them.
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from service.http.fields import REQUEST
from service.store import SWEEP_NAME_MAXIMUM, SWEEP_NOTES_MAXIMUM

#: One line, without control characters: it ends up in lists and on pages.
SweepName = Annotated[
    str, StringConstraints(min_length=1, max_length=SWEEP_NAME_MAXIMUM, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Notes = Annotated[str, StringConstraints(min_length=1, max_length=SWEEP_NOTES_MAXIMUM, pattern=r"^[^\x00]+$")]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _in_words(value: Any) -> Any:
    """Refuse with words what the pattern would refuse with itself, and no name, which a calibration may have."""
    if value is None or value == "":
        raise ValueError("A sweep always has a name: give another one, or leave it as it is")
    if isinstance(value, str) and _CONTROL.search(value):
        raise ValueError("A name is one line of text: leave out tabs, line breaks and other control characters")
    return value


class SweepLabelsBody(BaseModel):
    """What people call a sweep, and what they note about it."""

    model_config = REQUEST

    name: Annotated[SweepName, BeforeValidator(_in_words)] = Field(
        default_factory=str,  # what is left out is never read, so that the document need not allow null
        description="A name for people; several sweeps may have the same. It can't be removed.",
    )
    notes: Notes | None = Field(None, description="Anything worth remembering. Null: nothing.")
