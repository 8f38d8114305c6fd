"""The form of identifiers in addresses: opaque to clients, and short enough to refuse at the door."""

from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints

#: Letters, digits, dash and underscore. Anything else can't be an id of ours, and is answered with 404.
IDENTIFIER_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

CalibrationId = Annotated[
    str,
    StringConstraints(pattern=IDENTIFIER_PATTERN),
    Path(description="Identifier of the calibration, as POST /v1/calibrations gave it."),
]
