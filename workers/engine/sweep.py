"""The trials of one shard: every learning rate, γ and seed of one width, one after another."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite, log
from time import perf_counter
from typing import Any

import jax
import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.estimate.cost import VOCABULARY_SIZE, trial_flops
from workers.engine.data import Corpus, load_corpus
from workers.engine.device import describe_device
from workers.engine.prescription import Prescription, prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import Proxy
from workers.engine.specification import Shard, SweepSpec
from workers.engine.training import (
    Draws,
    Hyperparameters,
    draw,
    hyperparameters,
    training_windows,
    trial_functions,
)
from workers.engine.trials import Setting, Trial, settings_of, stored_identities

__all__ = ["Progress", "Trial", "describe_device", "run_shard"]

CHUNKS = 10  # a diverged trial stops within a tenth of its steps; more would cost a device round trip each
EXPLODED_LOSS = 2.0 * log(VOCABULARY_SIZE)  # nats: twice the loss of a uniform guess; no useful trial passes it

Progress = Callable[[int, int, int, int], None]  #: (trial from 1, of how many, step, of how many)


def run_shard(
    spec: Mapping[str, Any],
    shard: Mapping[str, Any],
    done: Collection[Sequence[Any]] = (),
    *,
    on_progress: Progress | None = None,
    corpora_dir: str | None = None,
) -> Iterator[Trial]:
    """Trains the trials of a sweep or gamma `shard` under the calibration `spec`, and yields each as it finishes.

    `done` holds the identities that are stored already and are skipped; `corpora_dir` is the folder of the corpora that
    are files. The same arguments give the same losses bit for bit on the same device and versions.
    Raises InvalidInputError for a specification that can't be run.
    """
    sweep, part = SweepSpec.from_dict(spec), Shard.from_dict(shard)
    stored = stored_identities(done)
    wanted = [setting for setting in settings_of(part) if setting.identity not in stored]
    if not wanted:
        return
    proxy = build_proxy(sweep.proxy)
    corpus = load_corpus(sweep.proxy.dataset, corpora_dir)
    program = Program(sweep, proxy, prescribe(sweep, proxy, part.width), corpus)
    for index, setting in enumerate(wanted, start=1):

        def report(step: int, index: int = index) -> None:
            if on_progress is not None:
                on_progress(index, len(wanted), step, sweep.steps)

        yield program.run(setting, report)


class Program:
    """The compiled program of one width, with its text on the device: any trial of that width."""

    def __init__(self, sweep: SweepSpec, proxy: Proxy, prescription: Prescription, corpus: Corpus) -> None:
        self._sweep, self._proxy, self._prescription = sweep, proxy, prescription
        self._train_N = jax.device_put(corpus.train)
        self._held_out_M = jax.device_put(corpus.held_out)
        functions = trial_functions(
            proxy, sweep.optimizer, steps=sweep.steps, held_out_bytes=corpus.held_out.size, atan2=sweep.atan2
        )
        # Compiled ahead, so that a trial's seconds are its own. "float32", since accelerators multiply in fewer bits.
        hyper, step = hyperparameters(prescription, 1.0), np.int32(0)
        draws = self._draw(0)
        with jax.default_matmul_precision("float32"):
            state = jax.eval_shape(functions.start, hyper, draws.normals)
            self._start = jax.jit(functions.start).lower(hyper, draws.normals).compile()
            self._advance = (
                jax.jit(functions.advance).lower(hyper, state, self._train_N, draws.starts, (step, step)).compile()
            )
            self._evaluate = jax.jit(functions.evaluate).lower(hyper, state, self._held_out_M).compile()

    def _draw(self, seed: int) -> Draws:
        return draw(
            seed,
            self._proxy.tensor_shapes(self._prescription.width),
            steps=self._sweep.steps,
            batch_size=self._sweep.proxy.batch_size,
            windows=training_windows(self._train_N.size, self._proxy),
        )

    def _hyperparameters(self, setting: Setting) -> Hyperparameters:
        tensors = self._proxy.tensor_shapes(self._prescription.width)
        roles = {name: tensor.role for name, tensor in tensors.items()}
        if setting.role is not None and setting.role not in roles.values():
            raise InvalidInputError(
                f"no tensor of the {self._proxy.architecture} has the role {setting.role!r}; "
                f"give one of {', '.join(sorted(set(roles.values())))}",
                field="shard.role",
            )
        factors = {name: setting.gamma if role == setting.role else 1.0 for name, role in roles.items()}
        rates = {name: rate * factors[name] for name, rate in self._prescription.learning_rates.items()}
        return hyperparameters(replace(self._prescription, learning_rates=rates), setting.learning_rate)

    def run(self, setting: Setting, report: Callable[[int], None]) -> Trial:
        """One trial; `report` hears of the steps done so far after each chunk."""
        begun = perf_counter()
        steps = self._sweep.steps
        chunk = -(-steps // CHUNKS)
        hyper, draws = self._hyperparameters(setting), self._draw(setting.seed)
        state, starts_SxB = self._start(hyper, draws.normals), jax.device_put(draws.starts)
        step, healthy = 0, True
        while step < steps and healthy:
            stop = min(step + chunk, steps)
            state, mean_loss = self._advance(hyper, state, self._train_N, starts_SxB, (np.int32(step), np.int32(stop)))
            step, healthy = stop, _is_healthy(float(mean_loss))
            report(step)
        loss = float(self._evaluate(hyper, state, self._held_out_M)) if healthy else float("nan")
        completed = healthy and _is_healthy(loss)
        return Trial(
            width=self._prescription.width,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            status="completed" if completed else "diverged",
            loss=loss if completed else None,
            seconds=perf_counter() - begun,
            steps=step,
            flops=flops_of(self._sweep, self._prescription.width, step, evaluated=healthy),
            role=setting.role,
            gamma=setting.gamma,
            horizon=setting.horizon,
        )


def flops_of(sweep: SweepSpec, width: int, steps: int, *, evaluated: bool) -> float:
    """Operations of a trial that did `steps` steps; one that diverged before its end was not evaluated."""
    proxy = sweep.proxy
    return trial_flops(
        proxy.architecture,
        width,
        depth=proxy.depth,
        sequence_length=proxy.sequence_length,
        windows=steps * proxy.batch_size,
        evaluated=evaluated,
        feed_forward=proxy.feed_forward,
        head_dim=proxy.head_dim,
    )


def _is_healthy(loss: float) -> bool:
    return isfinite(loss) and loss < EXPLODED_LOSS
