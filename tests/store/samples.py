"""Sample specifications and trials, a fit that is easy to foresee, and a run through a whole claim."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from service.store import Claim, Lease, Store
from service.store.database.engine import Database, create_store_engine
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.errors import EstimateError


def sample_spec(**changes: Any) -> dict[str, Any]:
    """A small specification: 2 widths × 2 seeds × 2 learning rates, so 4 shards of 2 trials."""
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "readout_omega": 0.5,
        "widths": [32, 64],
        "seeds": 2,
        "steps": 10,
        "learning_rates": [0.001, 0.01],
        "search": "grid",
        "epsilon": 1e-12,
        "form": "table_9",
        "proxy": {
            "architecture": "mlp",
            "depth": 2,
            "head_dim": 16,
            "sequence_length": 8,
            "batch_size": 16,
            "dataset": "python_docs",
        },
        "measure": ["learning_rate"],
        "runner": "worker",
        **changes,
    }


def plan_sample(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> list[ShardSpec]:
    """A shard for each width and seed, largest width first, of the learning rates that have no trial: one round."""
    ran = {(trial.width, trial.seed, trial.learning_rate) for trial in trials}
    planned = [
        ShardSpec(width, tuple(r for r in spec.learning_rates if (width, seed, r) not in ran), (seed,))
        for width in sorted(spec.widths, reverse=True)
        for seed in range(spec.seeds)
    ]
    return [shard for shard in planned if shard.learning_rates]


def plan_in_turn(
    spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]
) -> list[ShardSpec]:
    """The same for the narrowest width that has any left: a round for each width."""
    planned = plan_sample(spec, trials, measurements)
    return [shard for shard in planned if shard.width == planned[-1].width]


def trial(claim: Claim, learning_rate: float, *, loss: float | None = 2.5) -> dict[str, Any]:
    """A trial of the claim's shard, as a child reports it."""
    return {
        "width": claim.shard.width,
        "learning_rate": learning_rate,
        "seed": claim.shard.seeds[0],
        "status": "diverged" if loss is None else "completed",
        "loss": loss,
        "seconds": 0.5,
        "steps": 10,
        "flops": 1e9,
    }


def claimed(store: Store, worker_id: str = "w") -> Claim:
    """Claim, and insist on getting something."""
    claim = store.work.claim(worker_id)
    assert claim is not None
    return claim


def run_claim(store: Store, claim: Claim) -> None:
    """Report every trial that is not stored yet, and finish."""
    for rate in claim.shard.learning_rates:
        if (claim.shard.width, rate, claim.shard.seeds[0], None, 1.0, None) not in claim.done:
            assert store.work.record_trial(claim, trial(claim, rate)) is Lease.HELD
    assert store.work.finish(claim) is Lease.HELD


def run_all(store: Store, worker_id: str = "worker") -> int:
    """Claim and run until nothing is left; return the number of shards run."""
    count = 0
    while (claim := store.work.claim(worker_id)) is not None:
        run_claim(store, claim)
        count += 1
    return count


@dataclass(frozen=True)
class SampleEstimate:
    """What the store reads of an ExponentEstimate."""

    quantity: str = "learning_rate"
    role: str = "hidden"
    value: float = 1.1
    standard_error: float = 0.05
    interval: tuple[float, float] | None = (0.9, 1.3)
    degrees_of_freedom: int = 2
    theory: float = 1.0
    widths: tuple[int, ...] = (32, 64)


@dataclass(frozen=True)
class SampleResult:
    """What the store reads of a CalibrationResult."""

    trials: int
    exponents: tuple[SampleEstimate, ...] = field(default=(SampleEstimate(), SampleEstimate(role="readout")))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"trials": self.trials}


def fit_sample(
    spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement] = ()
) -> SampleResult:
    """Count the completed trials; too few of them is an EstimateError, as in the real fit."""
    completed = [trial for trial in trials if trial.loss is not None]
    if len(completed) < 2:
        raise EstimateError(f"{len(completed)} completed trials; at least 2 are needed")
    return SampleResult(len(trials))


class Crash(BaseException):
    """The process dies here."""


def crashing_fit(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> SampleResult:
    """Stand for a process killed between the last shard and the result."""
    raise Crash


def pass_time(url: str, column: sa.Column[Any], seconds: float, *where: sa.ColumnElement[bool]) -> None:
    """Make a stored time that much older, as if so many seconds had passed since."""
    engine = create_store_engine(url)
    (key, *_) = column.table.primary_key.columns
    with Database(engine).write() as connection:
        rows = connection.execute(sa.select(key, column).where(column.is_not(None), *where)).all()
        for identifier, moment in rows:
            older = {column.name: moment - timedelta(seconds=seconds)}
            connection.execute(sa.update(column.table).where(key == identifier).values(older))
    engine.dispose()


class Bell:
    """A doorbell that remembers what it rang for; `works`: whether its messages are sent."""

    def __init__(self) -> None:
        self.works = True
        self.rung: list[str] = []

    def ring(self, shard_ids: Sequence[str]) -> Sequence[str]:
        """Ring, and say for which shards a message was sent."""
        sent = list(shard_ids) if self.works else []
        self.rung += sent
        return sent
