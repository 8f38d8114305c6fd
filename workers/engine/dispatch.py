"""Runs a shard of any kind with the right part of the engine."""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, Trial, TrialIdentity
from widthwise.vocabulary import ShardKind
from workers.engine import horizon, measurements, sweep
from workers.engine.report import Progress


class RunShard(Protocol):
    """What each part of the engine offers."""

    def __call__(
        self,
        spec: CalibrationSpec,
        shard: ShardSpec,
        done: Collection[TrialIdentity | MeasurementIdentity] = (),
        *,
        corpora_dir: str | None = None,
        on_progress: Progress | None = None,
    ) -> Iterator[Trial | Measurement]: ...


PARTS: Mapping[ShardKind, RunShard] = {
    ShardKind.SWEEP: sweep.run_shard,
    ShardKind.GAMMA: sweep.run_shard,
    ShardKind.HORIZON: horizon.run_shard,
    ShardKind.MEASURE: measurements.run_shard,
}


def run(
    spec: CalibrationSpec,
    shard: ShardSpec,
    done: Collection[TrialIdentity | MeasurementIdentity] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Trial | Measurement]:
    """Run `shard` under the calibration `spec` and yield each trial or measurement as it finishes.

    `done` holds outcomes that are stored already; they are skipped. `corpora_dir` is the folder of the operator's own
    texts. The same arguments give the same outcomes bit for bit on the same device and versions.
    Raises InvalidInputError for a specification or shard that can't be run.
    """
    return PARTS[shard.kind](spec, shard, done, corpora_dir=corpora_dir, on_progress=on_progress)
