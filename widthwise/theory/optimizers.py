"""How the size of each optimizer's update depends on the gradient and on the parameter.

With learning rate ∝ n^(−c), gradient RMS ∝ n^(−g) and parameter RMS ∝ n^(−b), the update ΔW scales as
n^(−c−g) for SGD, n^(−c) for the Adam family and n^(−c−b) for updates relative to the parameter
(Everett et al. 2024, arXiv 2407.05872, section on optimizers).
"""

from enum import Enum
from types import MappingProxyType

from widthwise.vocabulary import Optimizer, WeightDecayMode


class UpdateScale(Enum):
    """What the RMS of an update is proportional to, beside the learning rate."""

    GRADIENT = "gradient"
    UNIT = "unit"
    PARAMETER = "parameter"


_UPDATE_SCALE = MappingProxyType(
    {
        Optimizer.SGD: UpdateScale.GRADIENT,
        Optimizer.ADAM: UpdateScale.UNIT,
        Optimizer.ADAMW: UpdateScale.UNIT,
        Optimizer.ADAM_ATAN2: UpdateScale.UNIT,
        Optimizer.ADAFACTOR: UpdateScale.PARAMETER,
        Optimizer.ADAM_PARAMETER_SCALING: UpdateScale.PARAMETER,
    }
)

#: Power of the gradient that the optimizer's epsilon is added to; 0 where the optimizer has none.
#: Adam adds ε to √v ~ |g|; Adafactor adds ε₁ to g² (Shazeer and Stern 2018, 1804.04235, algorithm 4).
_EPSILON_POWER = MappingProxyType(
    {
        Optimizer.SGD: 0,
        Optimizer.ADAM: 1,
        Optimizer.ADAMW: 1,
        Optimizer.ADAM_ATAN2: 0,
        Optimizer.ADAFACTOR: 2,
        Optimizer.ADAM_PARAMETER_SCALING: 1,
    }
)


def update_scale(optimizer: Optimizer | str) -> UpdateScale:
    """What an update's RMS is proportional to.

    >>> update_scale("adamw")
    <UpdateScale.UNIT: 'unit'>
    """
    return _UPDATE_SCALE[Optimizer(optimizer)]


def epsilon_power(optimizer: Optimizer | str) -> int:
    """Power p of the gradient RMS that epsilon must follow, ε ∝ n^(−p·g); 0 if the optimizer has no epsilon."""
    return _EPSILON_POWER[Optimizer(optimizer)]


def default_weight_decay_mode(optimizer: Optimizer | str) -> WeightDecayMode:
    """Decay as PyTorch applies it: in the gradient for SGD (where it equals the decoupled one), else decoupled."""
    return WeightDecayMode.COUPLED if Optimizer(optimizer) is Optimizer.SGD else WeightDecayMode.DECOUPLED
