"""The name and the note of a calibration, for people: how a request states them.

They are not part of the specification: they may change at any time, and the same specification under another name is
still the same submission.
"""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from service.calibrations.specification import Extension, SpecificationBody
from service.http.fields import REQUEST
from service.store import NAME_MAXIMUM, NOTE_MAXIMUM

#: One line, without control characters: it ends up in lists and on pages.
CalibrationName = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_MAXIMUM, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Note = Annotated[str, StringConstraints(min_length=1, max_length=NOTE_MAXIMUM, pattern=r"^[^\x00]+$")]

_NAME = Field(None, description="A name for people; several calibrations may have the same. Null: none.")
_NOTE = Field(None, description="Anything worth remembering. Null: nothing.")


class LabelsBody(BaseModel):
    """What people call a calibration, and what they note about it."""

    model_config = REQUEST

    name: CalibrationName | None = _NAME
    note: Note | None = _NOTE


class SubmissionBody(SpecificationBody):
    """A specification, with a name and a note for people.

    They are not part of the specification: repeating an idempotency key with another name changes nothing.
    """

    name: CalibrationName | None = _NAME
    note: Note | None = _NOTE


class ExtensionRequest(Extension):
    """An extension, with a name and a note for people; it inherits neither."""

    name: CalibrationName | None = _NAME
    note: Note | None = _NOTE
