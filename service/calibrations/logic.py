"""What the calibration routes share: a calibration as JSON, what a specification costs, the events of a stream."""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from service.calibrations.schemas import Estimate
from service.errors import RefusedInputError
from service.store import (
    FINAL_CALIBRATION_STATES,
    LIMIT_MAXIMUM,
    MeasurementRow,
    Store,
    StoredCalibration,
    TrialRow,
    expected_of,
)
from widthwise.calibration.corpora import CORPORA, FILE_PREFIX, file_name, is_known
from widthwise.calibration.cost import run_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.asked import check_asked
from widthwise.theory.optimizers import OPTIMIZERS, trained
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import Architecture, Measured, Runner

SOONEST_LOOK_SECONDS = 2  # between two polls of a calibration (chosen): trials of a quick one take about as long
LATEST_LOOK_SECONDS = 10  # chosen: a user who watches sees it move
LOOK_SHARE = 0.05  # of the remaining time (chosen): twenty polls of a long one


def check_spec(spec: CalibrationSpec) -> None:
    """Refuse what the schema can't express: raises RefusedInputError (422) for members that don't go together."""
    # Raises the library's InvalidInputError for a form that the parameterization does not have.
    theoretical_exponents(spec.parameterization, spec.optimizer, form=spec.form)
    if spec.runner is Runner.WORKER and OPTIMIZERS[spec.optimizer].optimum is None:
        message = f"workers do not train with optimizer {spec.optimizer.value!r}"
        raise RefusedInputError(
            f"#/optimizer: {message}; give one of {', '.join(trained())}, or train it yourself with runner 'external'.",
            errors=[{"pointer": "#/optimizer", "message": message, "value": spec.optimizer.value}],
        )
    check_asked(spec)
    head_dim = spec.proxy.head_dim
    broken = [
        width for width in spec.widths if spec.proxy.architecture is Architecture.TRANSFORMER and width % head_dim
    ]
    if broken:
        message = f"head_dim {head_dim} does not divide width {broken[0]}"
        raise RefusedInputError(
            f"#/proxy/head_dim: {message}; give widths that are multiples of it, or another head_dim.",
            errors=[{"pointer": "#/proxy/head_dim", "message": message, "value": head_dim}],
        )
    if spec.runner is Runner.WORKER and not is_known(spec.proxy.dataset):
        message = f"workers have no dataset {spec.proxy.dataset!r}"
        raise RefusedInputError(
            f"#/proxy/dataset: {message}; give {', '.join(CORPORA)}, {FILE_PREFIX}NAME for a file in the workers' "
            "folder of corpora, or train it yourself with runner 'external'.",
            errors=[{"pointer": "#/proxy/dataset", "message": message, "value": spec.proxy.dataset}],
        )

    if Measured.GAMMA in spec.measure and Measured.LEARNING_RATE not in spec.measure:
        raise _refused_measure("gamma is swept around the best learning rate; also measure learning_rate", "gamma")
    if spec.runner is Runner.EXTERNAL and spec.measure != (Measured.LEARNING_RATE,):
        other = next(kind for kind in spec.measure if kind is not Measured.LEARNING_RATE)
        raise _refused_measure(f"only workers measure {other}; an external runner uploads losses", other)


def check_corpus(spec: CalibrationSpec, folder: Path) -> None:
    """Refuse a `file:` data set that this machine's workers would not find; RefusedInputError (422).

    folder: of the corpora, that workers on the API's machine read too.
    """
    name = file_name(spec.proxy.dataset)
    if name is None or spec.runner is not Runner.WORKER:
        return
    file = folder / name
    if file.is_file() and not file.is_symlink():  # a worker follows no link
        return
    message = f"the operator's folder of corpora has no file {name!r}"
    raise RefusedInputError(
        f"#/proxy/dataset: {message}; ask the operator to put it there, or give another dataset.",
        errors=[{"pointer": "#/proxy/dataset", "message": message, "value": spec.proxy.dataset}],
    )


def _refused_measure(message: str, kind: str) -> RefusedInputError:
    return RefusedInputError(
        f"#/measure: {message}.", errors=[{"pointer": "#/measure", "message": message, "value": kind}]
    )


def calibration_body(calibration: StoredCalibration) -> dict[str, Any]:
    """Return the JSON form of a calibration (`schemas.CalibrationBody`)."""
    address = f"/v1/calibrations/{calibration.id}"
    return {
        "id": calibration.id,
        "name": calibration.name,
        "note": calibration.note,
        "state": calibration.state,
        "runner": calibration.runner,
        "created_at": calibration.created_at,
        "started_at": calibration.started_at,
        "finished_at": calibration.finished_at,
        "cancel_requested": calibration.cancel_requested,
        "reason": calibration.reason,
        "spec": calibration.stored_spec,
        "extends": calibration.extends,
        "rounds": calibration.rounds,
        "progress": {
            "trials_done": calibration.progress.trials_done,
            "trials_total": calibration.progress.trials_total,
            "shards": {state.value: count for state, count in calibration.progress.shards.items()},
            "seconds_left": calibration.progress.seconds_left,
        },
        "estimate": _estimate(calibration),
        "result": calibration.result,
        "links": {
            "self": address,
            "shards": f"{address}/shards",
            "trials": f"{address}/trials",
            "measurements": f"{address}/measurements",
            "events": f"{address}/events",
            "plot": f"{address}/plot.svg",
            "widths": f"{address}/widths.svg",
            "fit": f"{address}/fit",
        },
    }


def retry_after(calibration: StoredCalibration) -> int | None:
    """Return the seconds to wait before polling a calibration again; None once it has ended."""
    if calibration.state in FINAL_CALIBRATION_STATES:
        return None
    left = calibration.progress.seconds_left or 0.0
    return int(min(max(left * LOOK_SHARE, SOONEST_LOOK_SECONDS), LATEST_LOOK_SECONDS))


def trial_body(row: TrialRow) -> dict[str, Any]:
    """Return the JSON form of a trial (`schemas.TrialBody`)."""
    gamma = row.gamma if row.role is not None else None
    return {"id": row.id, "created_at": row.created_at, **row.to_dict(), "gamma": gamma}


def measurement_body(row: MeasurementRow) -> dict[str, Any]:
    """Return the JSON form of a measurement (`schemas.MeasurementBody`)."""
    measured = {"width": row.width, "seed": row.seed, "kind": row.kind, "data": row.data}
    return {"id": row.id, "created_at": row.created_at, **measured}


def estimate_body(spec: CalibrationSpec, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON form of an estimate, whether its calibration is stored or not (`schemas.EstimateBody`)."""
    estimate = _external_estimate(spec) if spec.runner is Runner.EXTERNAL else _worker_estimate(expected)
    return {"spec": spec.to_dict(), "estimate": estimate}


def extension_estimate_body(spec: CalibrationSpec, expected: Mapping[str, Any], shared_trials: int) -> dict[str, Any]:
    """Return the JSON form of what an extension would ask of workers (`schemas.ExtensionEstimateBody`)."""
    return {"spec": spec.to_dict(), "shared_trials": shared_trials, "estimate": _worker_estimate(expected)}


def _estimate(calibration: StoredCalibration) -> dict[str, Any]:
    """What was expected of a calibration before it began (`schemas.Estimate`)."""
    if calibration.runner == Runner.EXTERNAL:
        return _external_estimate(calibration.spec)
    return _worker_estimate(expected_of(calibration.expected, calibration.stored_spec))


def _worker_estimate(expected: Mapping[str, Any]) -> dict[str, Any]:
    """The operations are the sum of what the trials report if none ends early, without those of measurements."""
    return {name: expected.get(name) for name in Estimate.model_fields} | {"upper_bound": "upper_bound" in expected}


def _external_estimate(spec: CalibrationSpec) -> dict[str, Any]:
    """The whole grid, whoever trains it."""
    each = spec.seeds * len(spec.learning_rates)
    flops = math.fsum(run_flops(spec, width) for width in spec.widths)
    trials = each * len(spec.widths)
    counts = {"trials": trials, "shards": 0, "training_steps": trials * spec.steps, "flops": each * flops}
    return {**counts, "upper_bound": False, "seconds": None, "seconds_from": None, "workers": None}


async def event_stream(
    store: Store,
    calibration: StoredCalibration,
    *,
    after: int,
    stream_seconds: float,
    poll_seconds: float,
    key_counts: Callable[[], Awaitable[bool]],
) -> AsyncIterator[ServerSentEvent]:
    """Yield events with a number above `after` as they happen.

    It ends when the calibration has ended, at the time limit, or once the caller's key is no longer valid.

    Each read is a separate short transaction, so nothing is held while the stream waits. If the calibration ended,
    the last event is `end`, without a number.
    """
    deadline = time.monotonic() + stream_seconds
    finished = calibration.state in FINAL_CALIBRATION_STATES
    while await key_counts():
        events = await run_in_threadpool(store.calibrations.events, calibration.id, after=after, limit=LIMIT_MAXIMUM)
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
            calibration = await run_in_threadpool(store.calibrations.get, calibration.id)
            finished = calibration.state in FINAL_CALIBRATION_STATES
            if finished:
                continue  # its last events may have arrived after the read above
        if time.monotonic() >= deadline:
            return
        await anyio.sleep(poll_seconds)
