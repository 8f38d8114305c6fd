"""The form of identifiers in URLs: opaque to clients, and short enough to check before a look-up."""

from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints

#: Letters, digits, dash and underscore. Anything else can't be one of our ids, and is answered with 404.
IDENTIFIER_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

CalibrationId = Annotated[
    str,
    StringConstraints(pattern=IDENTIFIER_PATTERN),
    Path(description="Identifier of the calibration, as returned by POST /v1/calibrations."),
]

SweepId = Annotated[
    str,
    StringConstraints(pattern=IDENTIFIER_PATTERN),
    Path(description="Identifier of the sweep, as returned by POST /v1/sweeps."),
]
