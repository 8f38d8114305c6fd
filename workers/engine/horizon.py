"""The trials of a horizon shard: cooldowns of several lengths, branched from one run with a constant learning rate.

For each learning rate and seed one run is warmed up and then held at its learning rate. For every horizon H, its state
at the start of the last fifth of H is taken and cooled down as 1 − √t to the end. The result is bit for bit that of a
separate run of H steps, at the cost of only the cooldown (Hägele et al. 2405.18392, section 4).

All horizons share the run's warm-up, which is 5 % of the shortest horizon. A longer warm-up would leave the shortest
without a constant phase; a shorter one is below the 2-5 % that are enough (Kosson et al. 2410.23922).
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from time import perf_counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from widthwise.calibration.cost import COOLDOWN_SHARE
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import ShardKind
from workers.engine.data import load_corpus
from workers.engine.order import in_order
from workers.engine.report import Progress
from workers.engine.training import WARMUP_SHARE, State
from workers.engine.width_program import CHUNKS, PROGRAMS, WidthProgram, is_healthy


def run_shard(
    spec: CalibrationSpec,
    shard: ShardSpec,
    done: Collection[TrialIdentity | MeasurementIdentity] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Trial]:
    """Train one branched run for each seed and learning rate of `shard`; yield its trials, shortest horizon first.

    `done` holds outcomes that are stored already; they are skipped. A trial's steps, FLOPs and seconds are what it
    added: its cooldown, its evaluation, and the constant phase since the previous horizon. So they sum to what was
    spent. If the constant phase diverges, each remaining horizon gets a diverged trial.

    The same arguments give the same losses bit for bit on the same device and versions. Raises InvalidInputError for a
    specification that can't be run.
    """
    if shard.kind is not ShardKind.HORIZON:
        raise InvalidInputError(
            f"shard.kind is {shard.kind.value!r}; only shards of kind horizon branch horizons", field="shard.kind"
        )
    stored = set(done)
    wanted = [trial for trial in in_order(shard) if trial not in stored]
    if not wanted:
        return
    program, longest, before = _program(spec, shard, corpora_dir), max(shard.horizons), 0
    for _, run in groupby(wanted, attrgetter("seed", "learning_rate")):
        branches = list(run)

        def report(index: int, step: int, before: int = before) -> None:
            if on_progress is not None:
                on_progress(before + index, len(wanted), step, longest)

        yield from program.run(branches, report)
        before += len(branches)


def _program(spec: CalibrationSpec, shard: ShardSpec, corpora_dir: str | None) -> "HorizonProgram":
    """Return the compiled program of a width and these horizons, which a process keeps for its next shard."""
    return _compiled(json.dumps(spec.to_dict(), sort_keys=True), shard.width, shard.horizons, corpora_dir)


@lru_cache(maxsize=PROGRAMS)
def _compiled(spec: str, width: int, horizons: tuple[int, ...], corpora_dir: str | None) -> "HorizonProgram":
    """By the specification as JSON: measured alignments make it unhashable."""
    # a run is as long as the longest horizon; shorter ones use the beginning of its draws
    read = replace(CalibrationSpec.from_dict(json.loads(spec)), steps=max(horizons))
    shared = WidthProgram.of(read, width, load_corpus(read.proxy.dataset, corpora_dir))
    return HorizonProgram(shared, warmup_steps(horizons))


def warmup_steps(horizons: Sequence[int]) -> int:
    """Steps of the warm-up that all horizons share."""
    return max(1, round(WARMUP_SHARE * min(horizons)))


def cooldown_start(horizon: int) -> int:
    """The step at which the cooldown of a horizon begins: the branch.

    >>> cooldown_start(200)
    160
    """
    return horizon - max(1, round(COOLDOWN_SHARE * horizon))


def course(length: int, warmup: int, horizon: int | None = None) -> NDArray[np.float32]:
    """Return the share of the learning rate at each of `length` steps: warm-up, constant, then the horizon's cooldown.

    It is 0 after the end of the horizon. Without a horizon there is no cooldown.

    >>> [round(share, 3) for share in course(10, 2, 10).tolist()]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.293]
    """
    step_S = np.arange(length, dtype=np.float32)
    share_S = np.minimum((step_S + 1) / np.float32(warmup), 1)
    if horizon is not None:
        start = cooldown_start(horizon)
        t_S = np.clip((step_S - start) / np.float32(horizon - start), 0, 1)
        share_S = share_S * (1 - np.sqrt(t_S))
    return np.asarray(share_S, np.float32)


class Run(NamedTuple):
    """A run in progress."""

    state: State
    step: int
    healthy: bool


class HorizonProgram:
    """The compiled program of one width, for any branched run of that width."""

    def __init__(self, shared: WidthProgram, warmup: int) -> None:
        self._shared, self._warmup = shared, warmup
        functions = shared.functions
        hyper, draws, step = shared.hyperparameters(TrialIdentity(shared.width, 1.0, 0)), shared.draw(0), np.int32(0)
        path = draws.starts, course(shared.spec.steps, warmup)
        with jax.default_matmul_precision("float32"):  # accelerators multiply in fewer bits
            state = jax.eval_shape(functions.start, hyper, draws.normals)
            self._start = jax.jit(functions.start).lower(hyper, draws.normals).compile()
            self._follow = (
                jax.jit(functions.follow).lower(hyper, state, shared.train_text, path, (step, step)).compile()
            )
            self._evaluate = jax.jit(functions.evaluate).lower(hyper, state, shared.held_out_text).compile()

    def course(self, horizon: int | None) -> jax.Array:
        """Return the share of the learning rate at each step of the constant run, or of the branch to a horizon."""
        return jnp.asarray(course(self._shared.spec.steps, self._warmup, horizon))

    def run(self, branches: Sequence[TrialIdentity], report: Callable[[int, int], None]) -> Iterator[Trial]:
        """Yield the trials of one run, which differ only in their horizon, in ascending order.

        `report` is called with the trial, from 1, and the steps of its model so far.
        """
        begun, shared = perf_counter(), self._shared
        hyper, draws = shared.hyperparameters(branches[0]), shared.draw(branches[0].seed)
        starts_SxB = jax.device_put(draws.starts)
        chunk = -(-shared.spec.steps // CHUNKS)

        def advance(run: Run, shares_S: jax.Array, until: int, index: int) -> Run:
            while run.step < until and run.healthy:
                stop = min(run.step + chunk, until)
                span = np.int32(run.step), np.int32(stop)
                state, loss = self._follow(hyper, run.state, shared.train_text, (starts_SxB, shares_S), span)
                run = Run(state, stop, is_healthy(float(loss)))
                report(index, stop)
            return run

        constant = Run(self._start(hyper, draws.normals), 0, True)
        for index, branch in enumerate(branches, start=1):
            horizon = branch.horizon or shared.spec.steps
            paid = constant.step  # by the previous horizons
            constant = advance(constant, self.course(None), cooldown_start(horizon), index)
            cooled = advance(constant, self.course(horizon), horizon, index)
            loss = float(self._evaluate(hyper, cooled.state, shared.held_out_text)) if cooled.healthy else None
            yield shared.ended(branch, loss, seconds=perf_counter() - begun, steps=cooled.step - paid, stopped=False)
            begun = perf_counter()
