"""One trial as pure functions of its hyperparameters and its draws: start, advance by some steps, evaluate.

Nothing here uses a wall clock, a file or another trial. Width, steps and batch size are fixed at compile time;
learning rates, epsilons, decays, init stds, multipliers and the draws of a seed are traced, so one width needs one
compilation, and `jax.vmap` over hyperparameters and draws needs no change.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from widthwise.calibration.cost import COOLDOWN_SHARE, HELD_OUT_PIECES, held_out_windows
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Optimizer, WeightDecayMode
from workers.engine.optimizers import Constants, build_optimizer, engine_optimizer
from workers.engine.prescription import Prescription
from workers.engine.proxies.contract import Params, Proxy, TensorSpec

WARMUP_SHARE = 0.05  # Kosson et al. 2410.23922: 2-5 % is enough, no warm-up leaves a gap
# The activations of so many predictions stay in a core's cache (measured, transformer of width 128, batch 32 × 64:
# 130 ms per step in one piece, 89 in pieces of 128 to 512; a busy neighbour on the same cache also costs less)
PIECE_POSITIONS = 256


class Hyperparameters(NamedTuple):
    """Traced inputs of a trial: a scalar, and five dicts of scalars by tensor name."""

    learning_rate: jax.Array
    learning_rates: dict[str, jax.Array]  #: multipliers of the base learning rate
    epsilons: dict[str, jax.Array]
    weight_decays: dict[str, jax.Array]
    init_stds: dict[str, jax.Array]
    forward_multipliers: dict[str, jax.Array]


class Draws(NamedTuple):
    """All randomness in a trial, a function of only its seed and the shapes."""

    normals: dict[str, NDArray[Any]]  #: standard normal, in the shape of each tensor
    starts: NDArray[
        np.int32
    ]  #: shape (steps, batch size): the positions in the training text where each step's windows begin


class State(NamedTuple):
    """The state that a trial carries from step to step."""

    params: Params
    optimizer: Any


@dataclass(frozen=True)
class TrialFunctions:
    """The pure functions of a trial, not yet compiled."""

    start: Callable[[Hyperparameters, dict[str, jax.Array]], State]
    advance: Callable[
        [Hyperparameters, State, jax.Array, jax.Array, tuple[jax.Array, jax.Array]], tuple[State, jax.Array]
    ]
    follow: Callable[
        [Hyperparameters, State, jax.Array, tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]],
        tuple[State, jax.Array],
    ]
    evaluate: Callable[[Hyperparameters, State, jax.Array], jax.Array]
    loss: Callable[[Params, Hyperparameters, jax.Array, jax.Array], jax.Array]


def hyperparameters(prescription: Prescription, learning_rate: float, dtype: Any = np.float32) -> Hyperparameters:
    """Return the traced inputs for one base learning rate under `prescription`."""

    def scalars(values: Any) -> dict[str, jax.Array]:
        return {name: jnp.asarray(value, dtype) for name, value in values.items()}

    return Hyperparameters(
        learning_rate=jnp.asarray(learning_rate, dtype),
        learning_rates=scalars(prescription.learning_rates),
        epsilons=scalars(prescription.epsilons),
        weight_decays=scalars(prescription.weight_decays),
        init_stds=scalars(prescription.init_stds),
        forward_multipliers=scalars(prescription.forward_multipliers),
    )


def draw(
    seed: int, tensors: Mapping[str, TensorSpec], *, steps: int, batch_size: int, windows: int, dtype: Any = np.float32
) -> Draws:
    """Return the draws of `seed`: the same batches at every width and learning rate, so trials share random numbers.

    NumPy draws them on the host, so they are the same on every device and JAX version, and need no compilation.
    """
    weights, batches = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    normals = {name: weights.standard_normal(spec.shape, dtype=dtype) for name, spec in tensors.items()}
    return Draws(normals, batches.integers(windows, size=(steps, batch_size), dtype=np.int32))


def schedule(step: jax.Array, steps: int, dtype: Any = np.float32) -> jax.Array:
    """Return the share of the rate at `step` in 0 … steps − 1: linear warm-up, constant, cooldown 1 − √t; never 0."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    cooldown = max(1, round(COOLDOWN_SHARE * steps))
    s = step.astype(dtype)
    t = jnp.maximum((s - (steps - cooldown)) / cooldown, 0.0)
    return jnp.minimum((s + 1.0) / warmup, 1.0) * (1.0 - jnp.sqrt(t))


def training_windows(train_bytes: int, proxy: Proxy) -> int:
    """Return how many windows fit into the training text; InvalidInputError if not even one does."""
    return _windows(train_bytes, proxy, "training")


def held_out_starts(held_out_bytes: int, proxy: Proxy) -> NDArray[np.int32]:
    """Return where the held-out windows begin: evenly spaced, the same for every trial; shape (HELD_OUT_PIECES, rows).

    Raises InvalidInputError if the held-out text is shorter than one window.
    """
    windows = _windows(held_out_bytes, proxy, "held-out")
    starts = np.linspace(0, windows - 1, held_out_windows(proxy.predictions)).astype(np.int32)
    return starts.reshape(HELD_OUT_PIECES, -1)


def _windows(text_bytes: int, proxy: Proxy, part: str) -> int:
    needed = proxy.sequence_length + 1  # inputs and the last target
    if text_bytes < needed:
        raise InvalidInputError(
            f"the {part} text has {text_bytes} bytes, but a window needs {needed}; give a shorter sequence_length",
            field="proxy.sequence_length",
        )
    return text_bytes - needed + 1


def batch_pieces(batch_size: int, predictions: int, platform: str) -> int:
    """Return into how many equal pieces of at least PIECE_POSITIONS predictions a CPU cuts a batch; 1 elsewhere.

    The gradient of the batch is the mean of the pieces' gradients: the same step, to rounding.

    >>> batch_pieces(32, 64, "cpu"), batch_pieces(256, 1, "cpu"), batch_pieces(32, 64, "gpu")
    (8, 1, 1)
    """
    if platform != "cpu":
        return 1
    return max(
        m
        for m in range(1, batch_size + 1)
        if batch_size % m == 0 and (m == 1 or batch_size // m * predictions >= PIECE_POSITIONS)
    )


def cross_entropy(logits_BxPxV: jax.Array, targets_BxP: jax.Array) -> jax.Array:
    """Nats of each prediction, shape (B, P)."""
    # A comparison instead of a lookup avoids a scatter in the gradient, which compiles and runs slowly on a CPU
    values_V = jnp.arange(logits_BxPxV.shape[-1], dtype=targets_BxP.dtype)
    is_target_BxPxV = targets_BxP[:, :, None] == values_V[None, None]
    hit_BxP = jnp.sum(jnp.where(is_target_BxPxV, logits_BxPxV, 0.0), axis=-1)
    return jax.nn.logsumexp(logits_BxPxV, axis=-1) - hit_BxP


def trial_functions(
    proxy: Proxy,
    optimizer: Optimizer,
    *,
    steps: int,
    held_out_bytes: int,
    hidden: Collection[str] = (),
    constants: Constants | None = None,
    decay_mode: WeightDecayMode = WeightDecayMode.DECOUPLED,
    dtype: Any = np.float32,
) -> TrialFunctions:
    """Return the functions of all trials of one proxy and optimizer; their shapes follow from `normals`.

    `hidden` names the hidden matrices; `constants` default to the optimizer's. Independent decay takes λ off a weight
    at the full learning rate, and follows the schedule: W ← W − λ·share·W.
    `start(hyper, normals)` returns the initial state.
    `advance(hyper, state, train_N, starts_SxB, (first, stop))` does the steps from `first` up to `stop` and returns the
    mean training loss over them in nats.
    `follow(hyper, state, train_N, (starts_SxB, shares_S), (first, stop))` does the same with the given share of the
    learning rate at each step instead of `schedule`.
    `evaluate(hyper, state, held_out_M)` returns the held-out loss in nats.
    `loss(params, hyper, text_N, starts_B)` returns the loss of one batch in nats, which `advance` differentiates.
    """
    pieces = held_out_starts(held_out_bytes, proxy)

    def transformation(hyper: Hyperparameters, learning_rate: jax.Array) -> optax.GradientTransformation:
        decays = hyper.weight_decays
        if decay_mode is WeightDecayMode.INDEPENDENT:
            decays = {name: decays[name] / (hyper.learning_rate * rate) for name, rate in hyper.learning_rates.items()}
        return build_optimizer(
            engine_optimizer(optimizer),
            learning_rates={name: learning_rate * factor for name, factor in hyper.learning_rates.items()},
            epsilons=hyper.epsilons,
            weight_decays=decays,
            hidden=hidden,
            constants=constants,
            is_coupled=decay_mode is WeightDecayMode.COUPLED,
        )

    def loss(params: Params, hyper: Hyperparameters, text_N: jax.Array, starts_B: jax.Array) -> jax.Array:
        offsets_T = jnp.arange(proxy.sequence_length + 1, dtype=np.int32)
        window_BxT = text_N[starts_B[:, None] + offsets_T[None]].astype(np.int32)
        logits_BxPxV = proxy.apply(params, hyper.forward_multipliers, window_BxT[:, :-1])
        return jnp.mean(cross_entropy(logits_BxPxV, window_BxT[:, -proxy.predictions :]))

    def value_and_gradients(
        params: Params, hyper: Hyperparameters, text_N: jax.Array, starts_B: jax.Array
    ) -> tuple[jax.Array, Params]:
        pieces = batch_pieces(starts_B.size, proxy.predictions, jax.default_backend())
        if pieces == 1:
            return jax.value_and_grad(loss)(params, hyper, text_N, starts_B)

        def add(total: tuple[jax.Array, Params], starts_b: jax.Array) -> tuple[tuple[jax.Array, Params], None]:
            piece = jax.value_and_grad(loss)(params, hyper, text_N, starts_b)
            return jax.tree.map(jnp.add, total, piece), None

        nothing = jnp.zeros([], dtype), jax.tree.map(jnp.zeros_like, params)
        total, _ = jax.lax.scan(add, nothing, starts_B.reshape(pieces, -1))
        mean: tuple[jax.Array, Params] = jax.tree.map(lambda value: value / pieces, total)
        return mean

    def start(hyper: Hyperparameters, normals: dict[str, jax.Array]) -> State:
        params = {name: hyper.init_stds[name] * normal for name, normal in normals.items()}
        return State(params, transformation(hyper, hyper.learning_rate).init(params))

    def train(
        hyper: Hyperparameters,
        state: State,
        share: Callable[[jax.Array], jax.Array],
        batch: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
        span: tuple[jax.Array, jax.Array],
    ) -> tuple[State, jax.Array]:
        first, stop = span

        def step(index: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            (params, optimizer_state), total = carry
            value, gradients = value_and_gradients(params, hyper, *batch(index))
            rate = hyper.learning_rate * share(index)
            updates, optimizer_state = transformation(hyper, rate).update(gradients, optimizer_state, params)
            return State(optax.apply_updates(params, updates), optimizer_state), total + value

        # bounds are traced, so any chunk of steps runs in the same compiled loop
        state, total = jax.lax.fori_loop(first, stop, step, (state, jnp.zeros([], dtype)))
        return state, total / (stop - first).astype(dtype)

    def advance(
        hyper: Hyperparameters,
        state: State,
        train_N: jax.Array,
        starts_SxB: jax.Array,
        span: tuple[jax.Array, jax.Array],
    ) -> tuple[State, jax.Array]:
        return train(
            hyper, state, lambda index: schedule(index, steps, dtype), lambda index: (train_N, starts_SxB[index]), span
        )

    def follow(
        hyper: Hyperparameters,
        state: State,
        train_N: jax.Array,
        course: tuple[jax.Array, jax.Array],
        span: tuple[jax.Array, jax.Array],
    ) -> tuple[State, jax.Array]:
        starts_SxB, shares_S = course
        return train(hyper, state, lambda index: shares_S[index], lambda index: (train_N, starts_SxB[index]), span)

    def evaluate(hyper: Hyperparameters, state: State, held_out_M: jax.Array) -> jax.Array:
        return jnp.mean(jax.lax.map(lambda piece: loss(state.params, hyper, held_out_M, piece), jnp.asarray(pieces)))

    return TrialFunctions(start, advance, follow, evaluate, loss)
