"""What the calibration routes share: a calibration as JSON, what a specification costs, the events of a stream."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from service.calibrations.schemas import CalibrationSpec
from service.errors import InvalidInputError
from service.store.door import LIMIT_MAXIMUM
from service.store.planning import plan_shards, planned_trials
from service.store.records import Calibration, TrialRow
from service.store.states import FINAL_CALIBRATION_STATES
from service.store.store import Store
from widthwise.estimate.corpora import CORPORA, FILE_PREFIX, is_known
from widthwise.estimate.cost import trial_flops
from widthwise.stability import theoretical_exponents


def check_spec(spec: CalibrationSpec) -> None:
    """Refuse what the schema can't express: raises InvalidInputError (422) for members that don't go together."""
    # Raises the library's InvalidInputError for a form that the parameterization does not have.
    theoretical_exponents(spec.parameterization, spec.optimizer, form=spec.form)
    head_dim = spec.proxy.head_dim
    broken = [width for width in spec.widths if spec.proxy.architecture == "transformer" and width % head_dim]
    if broken:
        message = f"head_dim {head_dim} does not divide width {broken[0]}"
        raise InvalidInputError(
            f"#/proxy/head_dim: {message}; give widths of whole heads, or another head_dim.",
            errors=[{"pointer": "#/proxy/head_dim", "message": message, "value": head_dim}],
        )
    if spec.runner == "worker" and not is_known(spec.proxy.dataset):
        message = f"workers have no dataset {spec.proxy.dataset!r}"
        raise InvalidInputError(
            f"#/proxy/dataset: {message}; give {', '.join(CORPORA)}, {FILE_PREFIX}NAME for a file in the workers' "
            "folder of corpora, or train it yourself with runner 'external'.",
            errors=[{"pointer": "#/proxy/dataset", "message": message, "value": spec.proxy.dataset}],
        )


def calibration_body(calibration: Calibration) -> dict[str, Any]:
    """Give the JSON form of a calibration (`schemas.CalibrationBody`)."""
    address = f"/v1/calibrations/{calibration.id}"
    return {
        "id": calibration.id,
        "state": calibration.state,
        "runner": calibration.runner,
        "created_at": calibration.created_at,
        "started_at": calibration.started_at,
        "finished_at": calibration.finished_at,
        "cancel_requested": calibration.cancel_requested,
        "reason": calibration.reason,
        "spec": calibration.spec,
        "progress": {
            "trials_done": calibration.progress.trials_done,
            "trials_total": calibration.progress.trials_total,
            "shards": {state.value: count for state, count in calibration.progress.shards.items()},
        },
        "estimate": estimate_cost(calibration.spec),
        "result": calibration.result,
        "links": {
            "self": address,
            "trials": f"{address}/trials",
            "events": f"{address}/events",
            "plot": f"{address}/plot.svg",
        },
    }


def trial_body(row: TrialRow) -> dict[str, Any]:
    """Give the JSON form of a trial (`schemas.TrialBody`)."""
    return {"id": row.id, "created_at": row.created_at, **row.to_trial_dict()}


def estimate_cost(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Give the number of trials, steps and floating-point operations that a specification asks for.

    The operations are the sum of what the trials will report if every one of them completes.
    """
    trials, proxy, widths = planned_trials(spec), spec["proxy"], spec["widths"]
    flops = math.fsum(
        trial_flops(
            proxy["architecture"],
            width,
            depth=proxy["depth"],
            sequence_length=proxy["sequence_length"],
            windows=spec["steps"] * proxy["batch_size"],
            feed_forward=proxy.get("feed_forward", "gelu"),
            head_dim=proxy.get("head_dim"),
        )
        for width in widths
    )
    return {
        "trials": trials,
        "shards": len(plan_shards(spec)),
        "training_steps": trials * spec["steps"],
        "flops": trials // max(1, len(widths)) * flops,
    }


async def event_stream(
    store: Store, calibration: Calibration, *, after: int, stream_seconds: float, poll_seconds: float
) -> AsyncIterator[ServerSentEvent]:
    """Give events with a number above `after` as they come; end when the calibration has, or at the time limit.

    Each read is a short transaction of its own: nothing is held while the stream waits. The last event of a stream
    that ended with its calibration is `end`, without a number.
    """
    deadline = time.monotonic() + stream_seconds
    finished = calibration.state in FINAL_CALIBRATION_STATES
    while True:
        events = await run_in_threadpool(store.list_events, calibration.id, after=after, limit=LIMIT_MAXIMUM)
        for event in events:
            after = event.seq
            data = {"seq": event.seq, "created_at": event.created_at.isoformat(), **event.data}
            yield ServerSentEvent(id=str(event.seq), event=event.kind, data=data)
        if len(events) == LIMIT_MAXIMUM:
            continue
        if finished:
            yield ServerSentEvent(event="end", data={"id": calibration.id, "state": calibration.state.value})
            return
        if any(event.kind == "calibration" for event in events):
            calibration = await run_in_threadpool(store.get_calibration, calibration.id)
            finished = calibration.state in FINAL_CALIBRATION_STATES
            if finished:
                continue  # its last events may have come after the read above
        if time.monotonic() >= deadline:
            return
        await anyio.sleep(poll_seconds)
