"""What the child process of large transfers is asked and says, and how it comes to an answer."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from service.errors import ApiError
from service.exports.schemas import ExportChoice
from service.http.problems import from_library, json_response
from service.http.request_bodies import validated
from service.transfers.measured import NOTHING, FromMeasurements, names_measurements
from service.transfers.schemas import TransferBody
from widthwise.errors import WidthwiseError
from widthwise.exports.exporting import Exported, export
from widthwise.figures.figure import Figure
from widthwise.figures.transfer import transfer_plot
from widthwise.transfers.transfer import plan_of

LEVEL = 1  # of zlib, 0 to 9 (measured): 84 MB become 0.6 MB in 0.8 s


@dataclass(frozen=True, slots=True)
class Drawing:
    """The choice of a plan's figure, which the service encodes itself."""


PLAN = ExportChoice(export=None, allow_lossy=False)  #: the plan itself

_TRANSFER = TypeAdapter(TransferBody)


@dataclass(frozen=True, slots=True)
class Packed:
    """A plan as JSON or as a trainer's file, packed with zlib: a large one is the same text again and again."""

    data: bytes
    length: int  #: of the text
    media_type: str = "application/json"
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The question what a calibration or a sweep measured; the service answers it, or says None to end the request."""

    outline: TransferBody  #: without tensors and models


@dataclass(frozen=True, slots=True)
class Crashed:
    """A bug; the service logs it."""

    traceback: str


def answered(
    body: bytes, ask: Callable[[Asked], FromMeasurements | None], choice: ExportChoice | Drawing = PLAN
) -> Packed | Figure | ApiError | None:
    """Return the plan for a body in a form, or why there is none; None if the question was not answered."""
    try:
        request = validated(_TRANSFER, body)
        found = NOTHING
        if names_measurements(request):
            without = {"tensors": None, "model": None, "code_multipliers": None}
            told = ask(Asked(request.model_copy(update=without)))
            if told is None:
                return None
            found = told
        plan = plan_of(request.to_request(*found))
        if isinstance(choice, Drawing):
            return transfer_plot(plan)
        if choice.export is not None:
            return _file(export(plan, choice.export, allow_lossy=choice.allow_lossy))
        text = json_response(plan.to_dict()).body
        return Packed(zlib.compress(text, LEVEL), len(text))
    except ApiError as error:
        return error.with_traceback(None)
    except WidthwiseError as error:
        return from_library(error)


def _file(found: Exported) -> Packed:
    text = found.text.encode("utf-8", "replace")
    lost = ", ".join(each.quantity for each in found.not_expressed if each.matters)
    headers = {
        "Content-Disposition": f'attachment; filename="{found.file_name}"',
        "Widthwise-Plan": found.digest,
        "Widthwise-Not-Expressed": lost,
    }
    return Packed(zlib.compress(text, LEVEL), len(text), found.media_type, headers)
