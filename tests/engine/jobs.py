"""Runs of the engine from JSON, read as a child process reads its job."""

from collections.abc import Iterator, Sequence
from typing import Any

from widthwise.calibration.trial import Measurement, Trial
from workers.engine import dispatch, horizon, measurements, sweep
from workers.protocol import Job

Json = dict[str, Any]


def job_of(spec: Json, shard: Json, done: Sequence[Any] = ()) -> Job:
    return Job.from_dict({"spec": spec, "shard": shard, "done": done})


def run_sweep(spec: Json, shard: Json, done: Sequence[Any] = (), **options: Any) -> Iterator[Trial]:
    job = job_of(spec, shard, done)
    return sweep.run_shard(job.spec, job.shard, job.done, **options)


def run_horizons(spec: Json, shard: Json, done: Sequence[Any] = (), **options: Any) -> Iterator[Trial]:
    job = job_of(spec, shard, done)
    return horizon.run_shard(job.spec, job.shard, job.done, **options)


def run_measurements(spec: Json, shard: Json, done: Sequence[Any] = (), **options: Any) -> Iterator[Measurement]:
    job = job_of(spec, shard, done)
    return measurements.run_shard(job.spec, job.shard, job.done, **options)


def run_any(spec: Json, shard: Json, done: Sequence[Any] = (), **options: Any) -> Iterator[Trial | Measurement]:
    job = job_of(spec, shard, done)
    return dispatch.run(job.spec, job.shard, job.done, **options)
