"""Widthwise: from a tuned small model to every tensor of the large one.

    from widthwise import Base, Target, transfer
    plan = transfer(parameterization="standard", optimizer="adam",
                    base=Base(width=256, learning_rate=0.003), target=Target(width=4096))
    plan.layer("hidden").learning_rate.value

Importing this package loads neither a web framework nor JAX, PyTorch or scipy; `widthwise.Sweep` loads scipy, and
`widthwise.Client` and `widthwise.AsyncClient` load httpx, when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from widthwise.caution import Caution
from widthwise.errors import (
    EstimateError,
    InvalidInputError,
    ServiceError,
    UnplacedTensorsError,
    WidthwiseError,
)
from widthwise.model import Base, Target
from widthwise.rules.exponents import Exponents
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.tensors.placement import Tensor
from widthwise.theory.alignment import Alignment, RoleAlignment
from widthwise.theory.parameterization import RoleExponents, convert, init_exponents, shift
from widthwise.theory.stability import largest_stable, solve, theoretical_exponents
from widthwise.transfers.plan import LayerPlan, Plan, Quantity, TensorPlan
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import transfer
from widthwise.version import VERSION
from widthwise.vocabulary import Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode

if TYPE_CHECKING:
    from widthwise.client import AsyncClient, Client
    from widthwise.sweeps.asking import Sweep

__version__ = VERSION

__all__ = [
    "Alignment",
    "AsyncClient",
    "Base",
    "Caution",
    "Client",
    "ComputedMultiplier",
    "EstimateError",
    "Exponents",
    "Form",
    "InvalidInputError",
    "LayerPlan",
    "Layout",
    "Optimizer",
    "Parameterization",
    "Plan",
    "Quantity",
    "Role",
    "RoleAlignment",
    "RoleExponents",
    "ServiceError",
    "Sweep",
    "Target",
    "Tensor",
    "TensorPlan",
    "TransferRequest",
    "UnplacedTensorsError",
    "WeightDecayMode",
    "WidthwiseError",
    "__version__",
    "convert",
    "init_exponents",
    "largest_stable",
    "shift",
    "solve",
    "theoretical_exponents",
    "transfer",
]


#: Names that are imported when they are first asked for, and from where.
_LATER = {
    "AsyncClient": "widthwise.client",
    "Client": "widthwise.client",
    "Sweep": "widthwise.sweeps.asking",
}


def __getattr__(name: str) -> Any:
    """Import a name that loads a large library when it is first asked for."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
