"""Many trials of one width as one vmapped program: how an accelerator trains them.

Learning rates, γ and draws have a leading axis of trials ("lanes"); everything else is shared. A lane that diverges
keeps computing numbers that nobody reads, and does not affect the others; none is stopped early, since that would not
shorten the program. If the process has several devices, such as the chips of a TPU host, each trains an equal part of
the lanes (`spread`). The losses equal those of one trial at a time, up to rounding. A batch is always run as a
whole: if some of its trials are stored already it is repeated as it was, since a batch of another size may round
differently.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from math import prod
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from widthwise.calibration.trial import Trial, TrialIdentity
from workers.engine.spread import Spread
from workers.engine.training import Hyperparameters
from workers.engine.width_program import WidthProgram, is_healthy

MEMORY_SHARE = 0.8  # of what JAX may use (chosen): the compiler's count omits its own scratch space and fragmentation
COPIES = 6  # for the first guess (chosen): parameters, gradients, two moments, updates, and initial draws

Report = Callable[[int, int], None]  #: (trial, from 1, among those not stored; step)
Tree = Any  #: arrays of all lanes, with the structure of one trial's

# The axes of a batch: learning rates differ between lanes; the rest of a prescription depends only on the width.
_AXES: dict[str, Any] = dict.fromkeys(Hyperparameters._fields) | {"learning_rate": 0, "learning_rates": 0}
LANES = Hyperparameters(**_AXES)


class BatchProgram:
    """The compiled program of `lanes` trials of one width, as many on each of its devices."""

    def __init__(self, shared: WidthProgram, lanes: int, spread: Spread | None = None) -> None:
        self._spread = spread or Spread.here()
        self._shared, self.lanes = shared, self._spread.whole(lanes)
        functions, some = shared.functions, [TrialIdentity(shared.width, 1.0, 0)] * self.lanes
        hyper, step = self._hyperparameters(some), np.int32(0)
        self._train_text, self._held_out_text = jax.device_put(
            (shared.train_text, shared.held_out_text), self._spread.copies
        )

        def mapped(function: Callable[..., Any], axes: tuple[Any, ...], **options: Any) -> Any:
            """Return a function of all lanes, which lie on its devices."""
            layout = self._spread.layout(axes)
            return jax.jit(
                jax.vmap(function, in_axes=axes), in_shardings=layout, out_shardings=self._spread.trials, **options
            )

        start = mapped(functions.start, (LANES, 0))
        advance = mapped(functions.advance, (LANES, 0, None, 0, None), donate_argnums=1)
        evaluate = mapped(functions.evaluate, (LANES, 0, None))
        stack = jax.jit(_stacked, out_shardings=self._spread.trials)
        each = self._draws(some)
        self._stack = stack.lower(each).compile()
        normals, starts_NxSxB = jax.eval_shape(stack, each)
        with jax.default_matmul_precision("float32"):
            state = jax.eval_shape(start, hyper, normals)
            self._start = start.lower(hyper, normals).compile()
            self._advance = advance.lower(hyper, state, self._train_text, starts_NxSxB, (step, step)).compile()
            self._evaluate = evaluate.lower(hyper, state, self._held_out_text).compile()

    @property
    def bytes_needed(self) -> int:
        """Memory of a batch on each device by the compiler's analysis: its largest part's; 0 if it does not know."""
        return max(_bytes_of(part.memory_analysis()) for part in (self._start, self._advance, self._evaluate))

    def _hyperparameters(self, trials: Sequence[TrialIdentity]) -> Hyperparameters:
        each = [self._shared.hyperparameters(trial) for trial in trials]
        hyper = each[0]._replace(
            learning_rate=jnp.stack([hyper.learning_rate for hyper in each]),
            learning_rates=jax.tree.map(lambda *rates: jnp.stack(rates), *[hyper.learning_rates for hyper in each]),
        )
        placed: Hyperparameters = jax.device_put(hyper, self._spread.layout(LANES))
        return placed

    def _draws(self, trials: Sequence[TrialIdentity]) -> list[Tree]:
        """Return each trial's draws; those of a seed are sent to the devices once."""
        seeds = {trial.seed for trial in trials}
        of_seed = {seed: jax.device_put(tuple(self._shared.draw(seed)), self._spread.copies) for seed in seeds}
        return [of_seed[trial.seed] for trial in trials]

    def run(self, trials: Sequence[TrialIdentity], report: Callable[[int], None] = lambda _: None) -> list[Trial]:
        """Train at most `lanes` trials and return them in order; each counts its share of the time."""
        begun, shared = perf_counter(), self._shared
        filled = [*trials, *[trials[-1]] * (self.lanes - len(trials))]  # remaining lanes repeat the last trial
        hyper, (normals, starts_NxSxB) = self._hyperparameters(filled), self._stack(self._draws(filled))
        state: Tree = self._start(hyper, normals)
        del normals
        step, ended_N = 0, np.zeros(self.lanes, np.int64)  # 0: still running
        for stop in shared.stops:
            span = np.int32(step), np.int32(stop)
            state, loss_N = self._advance(hyper, state, self._train_text, starts_NxSxB, span)
            step = stop
            unhealthy_N = [not is_healthy(float(loss)) for loss in np.asarray(loss_N)]
            ended_N = np.where((ended_N == 0) & unhealthy_N, step, ended_N)
            report(step)
            if ended_N.all():
                break
        held_out_N = np.asarray(self._evaluate(hyper, state, self._held_out_text))
        seconds = (perf_counter() - begun) / len(trials)
        return [
            shared.ended(
                trial,
                float(held_out_N[lane]) if ended_N[lane] == 0 else None,
                seconds=seconds,
                steps=int(ended_N[lane]) or step,
                stopped=False,
            )
            for lane, trial in enumerate(trials)
        ]


def _stacked(trees: Sequence[Tree]) -> Tree:
    """Return one tree whose arrays have a leading axis of lanes."""
    return jax.tree.map(lambda *lanes: jnp.stack(lanes), *trees)


def run_batches(
    shared: WidthProgram,
    trials: Sequence[TrialIdentity],
    wanted: Collection[TrialIdentity],
    report: Report,
    *,
    memory_bytes: int | None = None,
    build: Callable[[WidthProgram, int], BatchProgram] = BatchProgram,
) -> Iterator[Trial]:
    """Yield the wanted ones of `trials`, in as few batches as `memory_bytes` of device memory allow.

    `memory_bytes` is that of one device, by default what it reports, or no limit. If a batch runs out of device memory,
    it is tried again at half the size.
    """
    limit, place = memory_bytes or _device_memory(), Spread.here()
    most = _first_guess(shared, limit)
    lanes = _even(len(trials), None if most is None else most * place.count)
    program = _fitting(shared, place.whole(lanes), limit, build)
    position, index = 0, 1
    while position < len(trials):
        batch = trials[position : position + program.lanes]
        if any(identity in wanted for identity in batch):
            try:
                ended = program.run(batch, partial(report, index))
            except RuntimeError as error:  # XLA's error for a full device does not have a separate class
                if "RESOURCE_EXHAUSTED" not in str(error) or program.lanes == place.count:
                    raise
                program = _fitting(shared, place.half(program.lanes), limit, build)
                continue
            for trial in ended:
                if trial.identity in wanted:
                    yield trial
                    index += 1
        position += len(batch)


def _fitting(
    shared: WidthProgram, lanes: int, limit: int | None, build: Callable[[WidthProgram, int], BatchProgram]
) -> BatchProgram:
    program, place = build(shared, lanes), Spread.here()
    while limit is not None and lanes > place.count and program.bytes_needed > MEMORY_SHARE * limit:
        lanes = place.half(lanes)
        program = build(shared, lanes)
    return program


def _bytes_of(analysis: Any) -> int:
    if analysis is None:
        return 0
    parts = analysis.argument_size_in_bytes, analysis.output_size_in_bytes, analysis.temp_size_in_bytes
    return int(sum(parts) - analysis.alias_size_in_bytes)  # aliased: an output in the memory of an argument


def _first_guess(shared: WidthProgram, limit: int | None) -> int | None:
    """The number of lanes whose parameters and copies fill one device, so no more can fit. None: no limit."""
    if limit is None:
        return None
    bytes_each = COPIES * 4 * sum(prod(tensor.shape) for tensor in shared.tensors.values())
    return max(1, int(MEMORY_SHARE * limit // bytes_each))


def _even(trials: int, most: int | None) -> int:
    """Lanes per batch if all batches are equal, so that the last is nearly full."""
    batches = 1 if most is None else -(-trials // most)
    return -(-trials // batches)


def _device_memory() -> int | None:
    """Bytes that JAX may use on its first device; None if the device does not report it, like a CPU."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("bytes_limit")
