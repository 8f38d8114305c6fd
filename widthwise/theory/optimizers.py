"""How the size of each optimizer's update depends on the gradient and on the parameter.

With learning rate ∝ n^(−c), gradient RMS ∝ n^(−g) and parameter RMS ∝ n^(−b), the update ΔW scales as
n^(−c−g) for SGD, n^(−c) for the Adam family and n^(−c−b) for updates relative to the parameter
(Everett et al. 2024, arXiv 2407.05872, section on optimizers).

A new optimizer with one of these scales is one record in `OPTIMIZERS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, Protocol

from widthwise.vocabulary import Optimizer, WeightDecayMode


class _InitScale(Protocol):
    """What an update's size can follow: the exponents of init std (b) and gradient RMS (g)."""

    @property
    def b(self) -> Fraction: ...
    @property
    def g(self) -> Fraction: ...


@dataclass(frozen=True, slots=True)
class UpdateScale:
    """What the RMS of an update is proportional to, apart from the learning rate, and what follows for stability."""

    name: str
    follows: Literal["g", "b"] | None  #: ΔW ∝ n^(−c−g), n^(−c−b), or n^(−c) alone
    #: A shift n^(−θ) of the weights into the multiplier takes k·θ off c: ΔW must shrink by n^(−θ), and its gradient
    #: grows by n^(−θ) fewer powers (Everett et al. 2024, equivalence classes).
    shift_of_c: int
    #: c ≥ 0: a relative update must not outgrow the parameter itself.
    keeps_parameter_scale: bool = False
    #: c_out ≥ b − a: else the readout's update outgrows its init and back-propagated gradients leave their initial
    #: scale (the starred cells of Table 1).
    keeps_backward_scale: bool = False
    #: λW in the gradient and W ← W − ηλW are the same update.
    coupled_is_decoupled: bool = False

    def offset(self, init: _InitScale) -> Fraction:
        """What the update's exponent has beyond c."""
        return Fraction(0) if self.follows is None else getattr(init, self.follows)


GRADIENT = UpdateScale("gradient", "g", 2, keeps_backward_scale=True, coupled_is_decoupled=True)
UNIT = UpdateScale("unit", None, 1)
PARAMETER = UpdateScale("parameter", "b", 0, keeps_parameter_scale=True)


@dataclass(frozen=True, slots=True)
class OptimizerRecord:
    """What transfer needs to know of one optimizer."""

    scale: UpdateScale
    #: Power of the gradient that epsilon is added to; 0 if the optimizer has none. Adam adds ε to √v ~ |g|;
    #: Adafactor adds ε₁ to g² (Shazeer and Stern 2018, 1804.04235, algorithm 4).
    epsilon_power: int
    weight_decay_mode: WeightDecayMode = WeightDecayMode.DECOUPLED  #: as PyTorch applies it


OPTIMIZERS: Mapping[Optimizer, OptimizerRecord] = MappingProxyType(
    {
        Optimizer.SGD: OptimizerRecord(GRADIENT, 0, WeightDecayMode.COUPLED),
        Optimizer.ADAM: OptimizerRecord(UNIT, 1),
        Optimizer.ADAMW: OptimizerRecord(UNIT, 1),
        Optimizer.ADAM_ATAN2: OptimizerRecord(UNIT, 0),
        Optimizer.ADAFACTOR: OptimizerRecord(PARAMETER, 2),
        Optimizer.ADAM_PARAMETER_SCALING: OptimizerRecord(PARAMETER, 1),
    }
)


def update_scale(optimizer: Optimizer | str) -> UpdateScale:
    """What an update's RMS is proportional to.

    >>> update_scale("adamw").name
    'unit'
    """
    return OPTIMIZERS[Optimizer(optimizer)].scale


def epsilon_power(optimizer: Optimizer | str) -> int:
    """Power p of the gradient RMS that epsilon must follow, ε ∝ n^(−p·g); 0 if the optimizer has no epsilon."""
    return OPTIMIZERS[Optimizer(optimizer)].epsilon_power


def default_weight_decay_mode(optimizer: Optimizer | str) -> WeightDecayMode:
    """Decay as PyTorch applies it: in the gradient for SGD (where it equals the decoupled one), else decoupled."""
    return OPTIMIZERS[Optimizer(optimizer)].weight_decay_mode


def decay_mode_in_force(optimizer: Optimizer | str, mode: WeightDecayMode) -> WeightDecayMode:
    """The mode whose scaling applies: coupled decay is the decoupled one if the update follows the gradient."""
    is_same = OPTIMIZERS[Optimizer(optimizer)].scale.coupled_is_decoupled
    return WeightDecayMode.DECOUPLED if is_same and mode is WeightDecayMode.COUPLED else mode
