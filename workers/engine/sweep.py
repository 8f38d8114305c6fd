"""The trials of a sweep or gamma shard: every learning rate, γ and seed of one width.

On a CPU they run one after another, the likely best of each seed first, and hopeless ones end early (see `stopping`).
On an accelerator they run as one vmapped program (see `batch`), where a trial that ends early would save nothing.
Trials run on the first device that JAX sees. Several devices are used by several workers, each of whose children is
shown one, as by CUDA_VISIBLE_DEVICES.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import jax
import numpy as np

from workers.engine.batch import run_batches
from workers.engine.data import load_corpus
from workers.engine.device import describe_device
from workers.engine.groundwork import CHUNKS, EXPLODED_LOSS, Groundwork, flops_of, is_healthy
from workers.engine.specification import Shard, SweepSpec
from workers.engine.stopping import FEWEST, Curve, Reference, comparable, hopeless, likely_first, varied
from workers.engine.training import hyperparameters
from workers.engine.trials import Identity, Setting, Trial, settings_of, stored_identities

__all__ = ["CHUNKS", "EXPLODED_LOSS", "Program", "Progress", "Trial", "describe_device", "flops_of", "run_shard"]

Progress = Callable[[int, int, int, int], None]  #: (trial from 1, of how many, step, of how many)


def run_shard(
    spec: Mapping[str, Any],
    shard: Mapping[str, Any],
    done: Collection[Sequence[Any]] = (),
    *,
    on_progress: Progress | None = None,
    corpora_dir: str | None = None,
    batched: bool | None = None,
) -> Iterator[Trial]:
    """Trains the trials of a sweep or gamma `shard` under the calibration `spec`, and yields each as it finishes.

    `done` holds the identities that are stored already and are skipped; `corpora_dir` is the folder of the corpora that
    are files; `batched` says whether to train many trials as one program, by default off a CPU. The same arguments give
    the same losses bit for bit on the same device and versions, and `done` changes no other trial.
    Raises InvalidInputError for a specification that can't be run.
    """
    sweep, part = SweepSpec.from_dict(spec), Shard.from_dict(shard)
    stored, settings = stored_identities(done), settings_of(part)
    wanted = len({setting.identity for setting in settings} - stored)
    if not wanted:
        return
    ground = Groundwork.of(sweep, part.width, load_corpus(sweep.proxy.dataset, corpora_dir))

    def report(index: int, step: int) -> None:
        if on_progress is not None:
            on_progress(index, wanted, step, sweep.steps)

    if jax.devices()[0].platform != "cpu" if batched is None else batched:
        yield from run_batches(ground, settings, stored, report)
    else:
        yield from _run_in_turn(ground, settings, stored, report)


def _run_in_turn(
    ground: Groundwork, settings: Sequence[Setting], stored: frozenset[Identity], report: Callable[[int, int], None]
) -> Iterator[Trial]:
    program, index = Program(ground), 0
    for group in comparable(settings):
        missing = {setting.identity for setting in group} - stored
        reference: Reference | None = None
        stops = ground.sweep.early_stopping and len(group) >= FEWEST
        for setting in likely_first(group) if missing else ():
            is_missing = setting.identity in missing
            # What is stored is skipped, but for the reference: without its curve a resumed shard would stop others
            if not is_missing and (reference is not None or not stops):
                continue
            index += is_missing
            trial, curve = program.run(setting, reference, partial(report, max(index, 1)))
            if reference is None and trial.status == "completed" and stops:
                reference = Reference(varied(setting), curve)
            if is_missing:
                yield trial


class Program:
    """The compiled program of one width: any trial of it."""

    def __init__(self, ground: Groundwork) -> None:
        self._ground = ground
        functions = ground.functions
        # Compiled ahead, so that a trial's seconds are its own. "float32", since accelerators multiply in fewer bits.
        hyper, draws, step = hyperparameters(ground.prescription, 1.0), ground.draw(0), np.int32(0)
        with jax.default_matmul_precision("float32"):
            state = jax.eval_shape(functions.start, hyper, draws.normals)
            self._start = jax.jit(functions.start).lower(hyper, draws.normals).compile()
            self._advance = (
                jax.jit(functions.advance).lower(hyper, state, ground.train_text, draws.starts, (step, step)).compile()
            )
            self._evaluate = jax.jit(functions.evaluate).lower(hyper, state, ground.held_out_text).compile()

    def run(
        self, setting: Setting, reference: Reference | None = None, report: Callable[[int], None] = lambda _: None
    ) -> tuple[Trial, Curve]:
        """One trial and its curve; it ends where it is hopeless beside the `reference` of its group.

        `report` hears of the steps done so far after each chunk.
        """
        begun, ground = perf_counter(), self._ground
        hyper, draws = ground.hyperparameters(setting), ground.draw(setting.seed)
        state, starts_SxB = self._start(hyper, draws.normals), jax.device_put(draws.starts)
        curve: list[float] = []
        step, healthy, stopped = 0, True, False
        for stop in ground.stops:
            span = np.int32(step), np.int32(stop)
            state, mean_loss = self._advance(hyper, state, ground.train_text, starts_SxB, span)
            step, healthy = stop, is_healthy(float(mean_loss))
            curve.append(float(mean_loss))
            report(step)
            if not healthy:
                break
            stopped = reference is not None and hopeless(
                setting, curve, reference, ground.sweep.optimizer, step=step, steps=ground.sweep.steps
            )
            if stopped:
                break
        loss = float(self._evaluate(hyper, state, ground.held_out_text)) if healthy and not stopped else None
        trial = ground.ended(setting, loss, seconds=perf_counter() - begun, steps=step, stopped=stopped)
        return trial, tuple(curve)
