"""One run of one width and seed that stops at some steps to look: all measurements of it at once."""

from collections.abc import Callable, Mapping
from math import isfinite, log
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workers.engine.data import Corpus
from workers.engine.measurements.alignment import alignment_ratios
from workers.engine.measurements.coordinates import coordinate_sizes
from workers.engine.measurements.gradients import gradient_sizes
from workers.engine.measurements.record import snapshot_steps
from workers.engine.prescription import Prescription
from workers.engine.proxies.contract import Params, Proxy, Tape
from workers.engine.specification import SweepSpec
from workers.engine.training import (
    Draws,
    Hyperparameters,
    State,
    draw,
    held_out_starts,
    hyperparameters,
    training_windows,
    trial_functions,
)

PROBE_POSITIONS = 1024  # chosen: a norm over them is known to some percent, in a fraction of a step's time


class Probe:
    """The compiled programs of one width; `run` measures one prescription, learning rate and seed."""

    def __init__(self, sweep: SweepSpec, proxy: Proxy, width: int, corpus: Corpus) -> None:
        self._sweep, self._proxy = sweep, proxy
        self._tensors, self._uses = proxy.tensor_shapes(width), proxy.uses(width)
        self._train_N = jax.device_put(corpus.train)
        self._probe_BxT = _probe_windows(corpus, proxy)
        functions = trial_functions(
            proxy, sweep.optimizer, steps=sweep.steps, held_out_bytes=corpus.held_out.size, atan2=sweep.atan2
        )

        def tape(params: Params, hyper: Hyperparameters) -> Tape:
            written: Tape = {}
            proxy.apply(params, hyper.forward_multipliers, self._probe_BxT, written)
            return written

        def gradients(hyper: Hyperparameters, state: State, _: Params, starts_B: jax.Array) -> Any:
            slopes = jax.grad(functions.loss)(state.params, hyper, self._train_N, starts_B)
            return gradient_sizes(slopes, state.optimizer)

        def alignment(hyper: Hyperparameters, state: State, init: Params, _: jax.Array) -> Any:
            return alignment_ratios(tape(state.params, hyper), tape(init, hyper))

        def coordinates(hyper: Hyperparameters, state: State, init: Params, _: jax.Array) -> Any:
            return coordinate_sizes(tape(state.params, hyper), tape(init, hyper))

        self._start, self._advance = jax.jit(functions.start), jax.jit(functions.advance)
        self._look = {
            "epsilon": jax.jit(gradients),
            "alignment": jax.jit(alignment),
            "coordinates": jax.jit(coordinates),
        }

    def run(
        self,
        prescription: Prescription,
        learning_rate: float,
        seed: int,
        kinds: tuple[str, ...],
        *,
        steps: Mapping[str, tuple[int, ...]] | None = None,
        report: Callable[[int], None] = lambda _: None,
    ) -> dict[str, dict[str, Any]]:
        """The data of every kind in `kinds`, as `record.Measurement` holds them, under a prescription for this width.

        `steps` says where each kind looks; default: `snapshot_steps`. The run ends after the last of them, or where a
        number is no longer finite, which `diverged_at` then says. `report` hears of the steps done so far.
        """
        steps = steps or {kind: snapshot_steps(kind, self._sweep.steps) for kind in kinds}
        hyper, draws = hyperparameters(prescription, learning_rate), self._draw(seed)
        starts_SxB = jax.device_put(draws.starts)
        data: dict[str, dict[str, Any]] = {
            kind: {"learning_rate": learning_rate, "steps": self._sweep.steps, "diverged_at": None, "snapshots": []}
            for kind in kinds
        }
        # "float32", since accelerators multiply in fewer bits
        with jax.default_matmul_precision("float32"):
            state = self._start(hyper, draws.normals)
            init, done = state.params, 0
            for step in sorted({step for kind in kinds for step in steps[kind]}):
                if step > done:
                    span = np.int32(done), np.int32(step)
                    state, loss = self._advance(hyper, state, self._train_N, starts_SxB, span)
                    done = step
                    report(done)
                    if not isfinite(float(loss)):
                        break
                batch_B = starts_SxB[min(step, self._sweep.steps - 1)]
                seen = {
                    kind: jax.device_get(self._look[kind](hyper, state, init, batch_B))
                    for kind in kinds
                    if step in steps[kind]
                }
                described = {kind: self._described(kind, tensors, prescription) for kind, tensors in seen.items()}
                if any(tensors is None for tensors in described.values()):
                    break
                for kind, tensors in described.items():
                    data[kind]["snapshots"].append({"step": step, "tensors": tensors})
            else:
                return data
        for kind in kinds:
            data[kind]["diverged_at"] = done
        return data

    def _draw(self, seed: int) -> Draws:
        return draw(
            seed,
            self._tensors,
            steps=self._sweep.steps,
            batch_size=self._sweep.proxy.batch_size,
            windows=training_windows(self._train_N.size, self._proxy),
        )

    def _described(
        self, kind: str, seen: Mapping[str, Mapping[str, Any]], prescription: Prescription
    ) -> dict[str, dict[str, Any]] | None:
        """What was seen of every tensor, with its role and fan-in; None where a number is not finite."""
        described: dict[str, dict[str, Any]] = {}
        for name, values in seen.items():
            use = self._uses[name]
            numbers: dict[str, float | None] = {key: float(value) for key, value in values.items()}
            if kind == "alignment":  # NaN: nothing has moved, so there is no ratio
                numbers = {key: _log_fan_in(value, use.fan_in) for key, value in numbers.items()}
            elif kind == "epsilon":
                numbers["epsilon"] = prescription.epsilons[name]
            if any(value is not None and not isfinite(value) for value in numbers.values()):
                return None
            described[name] = {"role": use.role.value, "fan_in": use.fan_in, **numbers}
        return described


def _log_fan_in(ratio: float | None, fan_in: int) -> float | None:
    """log of a ratio to the base fan-in; None where there is no ratio: a change is exactly 0."""
    return log(ratio) / log(fan_in) if ratio is not None and 0 < ratio < float("inf") else None


def _probe_windows(corpus: Corpus, proxy: Proxy) -> jax.Array:
    """The probe batch, x_BxT: the same held-out windows at every width, seed and learning rate, evenly spaced."""
    starts = held_out_starts(corpus.held_out.size, proxy).ravel()
    count = min(starts.size, max(1, PROBE_POSITIONS // proxy.predictions))
    picked_B = starts[np.linspace(0, starts.size - 1, count).astype(np.int64)]
    window_BxT = picked_B[:, None] + np.arange(proxy.sequence_length)[None]
    return jnp.asarray(corpus.held_out[window_BxT], np.int32)
