"""One run of one width and seed that pauses at some steps to take all its measurements."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from workers.engine.data import Corpus
from workers.engine.measurements.kind import MeasuredTensor, MeasurementKind, RunView
from workers.engine.optimizers import constants_in_force
from workers.engine.prescription import Prescription
from workers.engine.proxies.contract import Params, Proxy, Tape
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

PROBE_POSITIONS = 1024  # chosen: norms over them are accurate to a few percent, in a fraction of a step's time


class Observer:
    """The compiled programs of one width; `run` measures one prescription, learning rate and seed."""

    def __init__(self, spec: CalibrationSpec, proxy: Proxy, width: int, corpus: Corpus) -> None:
        self._spec, self._proxy = spec, proxy
        self._tensors, self._uses = proxy.tensor_shapes(width), proxy.uses(width)
        self._train_N = jax.device_put(corpus.train)
        self._probe_BxT = _probe_windows(corpus, proxy)
        self._functions = trial_functions(
            proxy,
            spec.optimizer,
            steps=spec.steps,
            held_out_bytes=corpus.held_out.size,
            hidden=proxy.hidden_matrices(width),
            constants=constants_in_force(spec),
        )
        self._start, self._advance = jax.jit(self._functions.start), jax.jit(self._functions.advance)
        self._looks: dict[Any, Any] = {}  #: compiled functions, by the function they compile

    def _compiled(self, kind: MeasurementKind) -> Any:
        """Return a kind's look as a compiled function of a run's state; every call returns the same one."""

        def tape(params: Params, hyper: Hyperparameters) -> Tape:
            written: Tape = {}
            self._proxy.apply(params, hyper.forward_multipliers, self._probe_BxT, written)
            return written

        def look(hyper: Hyperparameters, state: State, init: Params, starts_B: jax.Array) -> Any:
            return kind.look(
                RunView(
                    optimizer_state=state.optimizer,
                    gradients=lambda: jax.grad(self._functions.loss)(state.params, hyper, self._train_N, starts_B),
                    now=lambda: tape(state.params, hyper),
                    init=lambda: tape(init, hyper),
                )
            )

        return self._looks.setdefault(kind.look, jax.jit(look))

    def run(
        self,
        prescription: Prescription,
        learning_rate: float,
        seed: int,
        kinds: Sequence[MeasurementKind],
        *,
        report: Callable[[int], None] = lambda _: None,
    ) -> dict[str, dict[str, Any]]:
        """Return the data of every kind by name, under a prescription for this width: JSON-ready and finite.

        Each has "learning_rate", "steps", "diverged_at" (null or a step) and "snapshots", each with its "step" and its
        "tensors" by name: "role", "fan_in" and the numbers of the kind. The run ends after the last step at which
        a kind looks, or as soon as a number is no longer finite, and then `diverged_at` is set. `report` is called with
        the steps done so far.
        """
        steps = {kind.name: kind.steps(self._spec.steps) for kind in kinds}
        hyper, draws = hyperparameters(prescription, learning_rate), self._draw(seed)
        starts_SxB = jax.device_put(draws.starts)
        data: dict[str, dict[str, Any]] = {
            name: {"learning_rate": learning_rate, "steps": self._spec.steps, "diverged_at": None, "snapshots": []}
            for name in steps
        }
        # "float32", since accelerators multiply in fewer bits
        with jax.default_matmul_precision("float32"):
            state = self._start(hyper, draws.normals)
            init, done = state.params, 0
            for step in sorted({step for each in steps.values() for step in each}):
                if step > done:
                    span = np.int32(done), np.int32(step)
                    state, loss = self._advance(hyper, state, self._train_N, starts_SxB, span)
                    done = step
                    report(done)
                    if not isfinite(float(loss)):
                        break
                batch_B = starts_SxB[min(step, self._spec.steps - 1)]
                described = {}
                for kind in kinds:
                    if step in steps[kind.name]:
                        seen = jax.device_get(self._compiled(kind)(hyper, state, init, batch_B))
                        described[kind.name] = self._described(kind, seen, prescription)
                if any(tensors is None for tensors in described.values()):
                    break
                for name, tensors in described.items():
                    data[name]["snapshots"].append({"step": step, "tensors": tensors})
            else:
                return data
        for each in data.values():
            each["diverged_at"] = done
        return data

    def _draw(self, seed: int) -> Draws:
        return draw(
            seed,
            self._tensors,
            steps=self._spec.steps,
            batch_size=self._spec.proxy.batch_size,
            windows=training_windows(self._train_N.size, self._proxy),
        )

    def _described(
        self, kind: MeasurementKind, seen: Mapping[str, Mapping[str, Any]], prescription: Prescription
    ) -> dict[str, dict[str, Any]] | None:
        """Return the numbers of every tensor, with its role and fan-in; None if a number is not finite."""
        described: dict[str, dict[str, Any]] = {}
        for name, values in seen.items():
            use = self._uses[name]
            measured = {key: float(value) for key, value in values.items()}
            numbers = kind.describe(measured, MeasuredTensor(name, use, prescription))
            if any(value is not None and not isfinite(value) for value in numbers.values()):
                return None
            described[name] = {"role": use.role.value, "fan_in": use.fan_in, **numbers}
        return described


def _probe_windows(corpus: Corpus, proxy: Proxy) -> jax.Array:
    """Return the probe batch x_BxT: the same held-out windows at every width, seed and learning rate, evenly spaced."""
    starts = held_out_starts(corpus.held_out.size, proxy).ravel()
    count = min(starts.size, max(1, PROBE_POSITIONS // proxy.predictions))
    picked_B = starts[np.linspace(0, starts.size - 1, count).astype(np.int64)]
    window_BxT = picked_B[:, None] + np.arange(proxy.sequence_length)[None]
    return jnp.asarray(corpus.held_out[window_BxT], np.int32)
