"""Optimizers as optax transformations with a learning rate, an epsilon and a decay per tensor.

All three may be traced values, so that one compiled program serves every learning rate of a width. Everything the
engine knows about an optimizer is one record in OPTIMIZERS; widthwise.theory knows how its updates scale with width.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import optax

from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.optax import scale_by_adam_atan2
from widthwise.vocabulary import Optimizer
from workers.engine.early_stopping import Margins

ADAM_B1, ADAM_B2 = 0.9, 0.98  # Everett et al. 2024
PARAMETER_RMS_FLOOR = 1e-3  # Shazeer and Stern 2018, ε₂; lets a tensor of zeros move
ADAFACTOR_DECAY = 0.8  # Shazeer and Stern 2018, β₂ = 1 − t^−0.8
ADAFACTOR_CLIP = 1.0  # Shazeer and Stern 2018, d
MUON_MOMENTUM = 0.95  # Jordan et al. 2024
MUON_RMS = 0.2  # RMS of AdamW's update (Moonlight, 2502.16982)
LION_B1, LION_B2 = 0.9, 0.99  # Chen et al. 2023, algorithm 2
ADAMW_WEIGHT_DECAY = 0.1  # λ at the base width: the usual value for language models

Scalars = Mapping[str, jax.Array | float]  #: one value per tensor, by name
Constants = Mapping[str, float]  #: an optimizer's own numbers by name, recorded with every run
Direction = Callable[
    [jax.Array | float, Constants], optax.GradientTransformation
]  #: makes it from an epsilon and the constants


@dataclass(frozen=True)
class HiddenMatrices:
    """What hidden matrices are trained with where every other tensor is trained in another way."""

    direction: Direction
    #: (fan-in, fan-out) of a matrix of the base model → its learning rate there, in units of the base learning rate
    rate_at_base: Callable[[int, int], float]


@dataclass(frozen=True)
class EngineOptimizer:
    """What the engine knows about an optimizer."""

    direction: Direction  #: from a gradient to an update, before decay and learning rate
    constants: Constants  #: unless the specification says otherwise; needed to interpret a learning rate
    margins: Margins
    decays: bool = False  #: whether it reads the weight decays
    hidden: HiddenMatrices | None = None  #: None: they are trained as every other tensor
    #: constants that a specification sets
    chosen: Callable[[CalibrationSpec], Constants] = lambda _: {}


def _sgd(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    del epsilon, constants
    return optax.identity()


def _adam(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    return optax.scale_by_adam(constants["b1"], constants["b2"], eps=epsilon)


def _adam_atan2(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    del epsilon
    return scale_by_adam_atan2(constants["b1"], constants["b2"], a=constants["a"], b=constants["b"])


def _adafactor_unscaled(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    return optax.chain(
        # by default optax factors from 128 on, which would change the optimizer in the middle of a sweep over widths
        optax.scale_by_factored_rms(decay_rate=constants["decay"], min_dim_size_to_factor=1, epsilon=epsilon),
        optax.clip_by_block_rms(constants["clip"]),
    )


def _with_parameter_scaling(direction: Direction) -> Direction:
    """Return a direction whose update is relative to the RMS of the tensor that it moves."""
    return lambda epsilon, constants: optax.chain(
        direction(epsilon, constants), optax.scale_by_param_block_rms(constants["parameter_rms_floor"])
    )


def _lion(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    del epsilon  # a sign has none
    return optax.scale_by_lion(constants["b1"], constants["b2"])


def _nadam(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    return optax.scale_by_adam(constants["b1"], constants["b2"], eps=epsilon, nesterov=True)


def _adamax(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
    return optax.scale_by_adamax(constants["b1"], constants["b2"], eps=epsilon)


def muon(scale: Callable[[int, int], float]) -> HiddenMatrices:
    """Muon (Jordan et al. 2024) for matrices of shape (fan-in, fan-out); scale: (fan-in, fan-out) → factor.

    At the base its update has the RMS of AdamW's, MUON_RMS × the learning rate, whatever the scale: a base learning
    rate means the same in all three, and they differ in what becomes of it at other widths.
    """

    def direction(epsilon: jax.Array | float, constants: Constants) -> optax.GradientTransformation:
        del epsilon
        orthogonal = optax.contrib.scale_by_muon(beta=constants["momentum"])
        return optax.chain(orthogonal, optax.stateless(lambda updates, _: updates * scale(*updates.shape)))

    return HiddenMatrices(
        direction, lambda fan_in, fan_out: MUON_RMS * math.sqrt(max(fan_in, fan_out)) / scale(fan_in, fan_out)
    )


def unit_scale(fan_in: int, fan_out: int) -> float:
    """√(fan-out/fan-in): of dion and Scion; the update's spectral norm keeps the RMS of a layer's output."""
    return math.sqrt(fan_out / fan_in)


def keller_scale(fan_in: int, fan_out: int) -> float:
    """√max(1, fan-out/fan-in): of Keller Jordan's code and optax."""
    return math.sqrt(max(1.0, fan_out / fan_in))


def rms_scale(fan_in: int, fan_out: int) -> float:
    """0.2·√max(fan-in, fan-out): of Moonlight; the update has the RMS of AdamW's at every shape."""
    return MUON_RMS * math.sqrt(max(fan_in, fan_out))


def _with_muon(scale: Callable[[int, int], float]) -> EngineOptimizer:
    constants = {**_BETAS, "weight_decay": ADAMW_WEIGHT_DECAY, "momentum": MUON_MOMENTUM}
    return EngineOptimizer(_adam, constants, _UNMEASURED, decays=True, hidden=muon(scale))


_ADAFACTOR = {"decay": ADAFACTOR_DECAY, "clip": ADAFACTOR_CLIP}
_BETAS = {"b1": ADAM_B1, "b2": ADAM_B2}
# Adam's updates have the same size for every tensor; relative updates grow with the tensor's.
_ADAM_MARGINS = Margins(below=(0.20, 0.20, 0.10, 0.10, 0.10, 0.10, 0.10), above=0.20)
_RELATIVE_MARGINS = Margins(below=(0.38, 0.38, 0.32, 0.22, 0.14, 0.14, 0.12), above=0.48)
_UNMEASURED = Margins(below=(math.inf,) * 7, above=math.inf)  # nothing is stopped until its curves were looked at

#: Those that calibrations train with; the library's records of the others have no optimum.
OPTIMIZERS: Mapping[Optimizer, EngineOptimizer] = {
    Optimizer.SGD: EngineOptimizer(_sgd, {}, Margins(below=(0.31, 0.20, 0.20, 0.17, 0.17, 0.15, 0.15), above=math.inf)),
    Optimizer.ADAM: EngineOptimizer(_adam, _BETAS, _ADAM_MARGINS),
    Optimizer.ADAMW: EngineOptimizer(_adam, {**_BETAS, "weight_decay": ADAMW_WEIGHT_DECAY}, _ADAM_MARGINS, decays=True),
    Optimizer.ADAM_ATAN2: EngineOptimizer(
        _adam_atan2, {**_BETAS, "a": 1.0, "b": 1.0}, _ADAM_MARGINS, chosen=lambda spec: spec.atan2.to_dict()
    ),
    Optimizer.ADAFACTOR: EngineOptimizer(
        _with_parameter_scaling(_adafactor_unscaled),
        {**_ADAFACTOR, "parameter_rms_floor": PARAMETER_RMS_FLOOR},
        _RELATIVE_MARGINS,
    ),
    Optimizer.ADAFACTOR_UNSCALED: EngineOptimizer(_adafactor_unscaled, _ADAFACTOR, _UNMEASURED),
    Optimizer.ADAM_PARAMETER_SCALING: EngineOptimizer(
        _with_parameter_scaling(_adam), {**_BETAS, "parameter_rms_floor": PARAMETER_RMS_FLOOR}, _RELATIVE_MARGINS
    ),
    Optimizer.LION: EngineOptimizer(_lion, {"b1": LION_B1, "b2": LION_B2}, _UNMEASURED),
    Optimizer.NADAM: EngineOptimizer(_nadam, _BETAS, _UNMEASURED),
    Optimizer.ADAMAX: EngineOptimizer(_adamax, _BETAS, _UNMEASURED),
    Optimizer.MUON_UNIT: _with_muon(unit_scale),
    Optimizer.MUON_KELLER: _with_muon(keller_scale),
    Optimizer.MUON_RMS: _with_muon(rms_scale),
}


def engine_optimizer(optimizer: Optimizer) -> EngineOptimizer:
    """Return the record of an optimizer; InvalidInputError if the engine does not train with it."""
    if optimizer not in OPTIMIZERS:
        raise InvalidInputError(
            f"optimizer is {optimizer.value!r}, with which the engine does not train; give one of "
            f"{', '.join(OPTIMIZERS)}",
            field="optimizer",
        )
    return OPTIMIZERS[optimizer]


def constants_in_force(spec: CalibrationSpec) -> Constants:
    """Return the constants that the optimizer of `spec` trains with."""
    record = engine_optimizer(spec.optimizer)
    return {**record.constants, **record.chosen(spec)}


def build_optimizer(
    record: EngineOptimizer,
    *,
    learning_rates: Scalars,
    epsilons: Scalars,
    weight_decays: Scalars,
    hidden: Collection[str] = (),
    constants: Constants | None = None,
    is_coupled: bool = False,
) -> optax.GradientTransformation:
    """Return an optimizer with a separate learning rate η, epsilon and decoupled decay λ (W ← W − ηλW) per tensor.

    If the decay is coupled, λW is added to the gradient instead.

    Parameters are a flat dict with the keys of the three mappings. The state does not depend on these, so they may
    change from step to step. Optimizers without an epsilon ignore `epsilons`, and those without decay ignore
    `weight_decays`. `hidden` names the hidden matrices. `constants` default to the record's.
    """
    in_force = record.constants if constants is None else constants

    def of_tensor(name: str) -> optax.GradientTransformation:
        special = record.hidden if name in hidden else None
        direction = record.direction if special is None else special.direction
        parts = [direction(epsilons[name], in_force)]
        if record.decays:
            parts.insert(0 if is_coupled else 1, optax.add_decayed_weights(weight_decays[name]))
        return optax.chain(*parts, optax.scale_by_learning_rate(learning_rates[name]))

    return per_tensor({name: of_tensor(name) for name in learning_rates})


def per_tensor(transformations: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """Return a transformation that treats each tensor of a flat dict separately, with its own state."""
    # not optax.partition: a state by name is what the measurements read

    def init(params: Any) -> Any:
        return {name: part.init(params[name]) for name, part in transformations.items()}

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        pairs = {
            name: part.update(gradients[name], state[name], None if params is None else params[name])
            for name, part in transformations.items()
        }
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    return optax.GradientTransformation(init, update)
