"""The route that follows a calibration's events."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.auth.caller import Caller
from service.calibrations import logic
from service.errors import NothingMoreError
from service.http.dependencies import ReadStore, key_watch
from service.http.identifiers import CalibrationId
from service.http.openapi import error_responses
from service.store import FINAL_CALIBRATION_STATES, StoredCalibration

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])


def _watched(
    calibration_id: CalibrationId,
    store: ReadStore,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,9}$",
            description="Number of the last event seen: the stream continues after it, without gaps.",
        ),
    ] = None,
) -> tuple[StoredCalibration, int]:
    """Look the calibration up before the stream starts, while an error status can still be sent."""
    calibration = store.calibrations.get(calibration_id)
    after = int(last_event_id or 0)
    if after > calibration.last_event:  # from before the database was restored from a backup
        after = 0
    if calibration.state in FINAL_CALIBRATION_STATES and after >= max(calibration.last_event, 1):
        raise NothingMoreError
    return calibration, after


async def _counted(
    request: Request, watched: Annotated[tuple[StoredCalibration, int], Depends(_watched)]
) -> AsyncIterator[tuple[StoredCalibration, int]]:
    """Count the stream until its response ends in any way; 429 if too many are open."""
    caller: Caller | None = getattr(request.state, "caller", None)
    with request.app.state.streams.one_more(None if caller is None else caller.key_id):
        yield watched


@router.get(
    "/{calibration_id}/events",
    operation_id="streamCalibrationEvents",
    summary="Follow a calibration",
    response_class=EventSourceResponse,
    responses={
        204: {"description": "The calibration has ended and every event was sent: a browser stops reconnecting."},
        **error_responses(404, 422, 429, 503),
    },
)
async def stream_events(
    request: Request, store: ReadStore, watched: Annotated[tuple[StoredCalibration, int], Depends(_counted)]
) -> AsyncIterable[ServerSentEvent]:
    """Return its events as they happen (server-sent events): `calibration` and `shard` transitions, `round`s of shards,
    trials and measurements.

    An event's id is its number; send the last one as `Last-Event-ID` to resume. The stream ends with an event `end`
    when the calibration has ended, after ten minutes, or when its key is no longer valid. If the number is above the
    calibration's last, as it can be after a restore from a backup, all events are sent.
    """
    calibration, after = watched
    state: Any = request.app.state
    async for event in logic.event_stream(
        store,
        calibration,
        after=after,
        stream_seconds=state.stream_seconds,
        poll_seconds=state.poll_seconds,
        key_counts=key_watch(request, store),
    ):
        yield event
