"""What the child process of large transfers is asked and says, and how it comes to an answer."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter

from service.errors import ApiError
from service.http.problems import from_library, json_response
from service.http.request_bodies import validated
from service.transfers.measured import NOTHING, FromMeasurements, names_measurements
from service.transfers.schemas import TransferBody
from widthwise.errors import WidthwiseError
from widthwise.transfers.transfer import plan_of

LEVEL = 1  # of zlib, 0 to 9 (measured): 84 MB become 0.6 MB in 0.8 s

_TRANSFER = TypeAdapter(TransferBody)


@dataclass(frozen=True, slots=True)
class Packed:
    """A plan as JSON, packed with zlib: a large one is the same text again and again."""

    data: bytes
    length: int  #: of the JSON


@dataclass(frozen=True, slots=True)
class Asked:
    """The question what a calibration or a sweep measured; the service answers it, or says None to end the request."""

    outline: TransferBody  #: without tensors and models


@dataclass(frozen=True, slots=True)
class Crashed:
    """A bug; the service logs it."""

    traceback: str


def answered(body: bytes, ask: Callable[[Asked], FromMeasurements | None]) -> Packed | ApiError | None:
    """Return the plan for a body, or why there is none; None if the question was not answered."""
    try:
        request = validated(_TRANSFER, body)
        found = NOTHING
        if names_measurements(request):
            without = {"tensors": None, "model": None, "code_multipliers": None}
            told = ask(Asked(request.model_copy(update=without)))
            if told is None:
                return None
            found = told
        text = json_response(plan_of(request.to_request(*found)).to_dict()).body
        return Packed(zlib.compress(text, LEVEL), len(text))
    except ApiError as error:
        return error.with_traceback(None)
    except WidthwiseError as error:
        return from_library(error)
