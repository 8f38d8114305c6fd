"""Widthwise: from a tuned small model to every tensor of the large one.

    from widthwise import Base, Target, transfer
    plan = transfer(parameterization="standard", optimizer="adam",
                    base=Base(width=256, learning_rate=0.003), target=Target(width=4096))
    plan.layer("hidden").learning_rate.value

Each name is imported when it is first used, so importing this package costs a few milliseconds. None of it loads a web
framework, JAX or PyTorch; `widthwise.Sweep` loads scipy, `widthwise.Client` and `widthwise.AsyncClient` load httpx.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from widthwise.version import VERSION

if TYPE_CHECKING:
    from widthwise.caution import Caution
    from widthwise.client import AsyncClient, Client
    from widthwise.errors import (
        EstimateError,
        InvalidInputError,
        ServiceError,
        UnplacedTensorsError,
        WidthwiseError,
    )
    from widthwise.model import Base, Target
    from widthwise.rules.exponents import Exponents
    from widthwise.sweeps.asking import Sweep
    from widthwise.tensors.multipliers import ComputedMultiplier
    from widthwise.tensors.placement import Tensor
    from widthwise.theory.alignment import Alignment, RoleAlignment
    from widthwise.theory.parameterization import RoleExponents, convert, init_exponents, shift
    from widthwise.theory.stability import largest_stable, solve, theoretical_exponents
    from widthwise.transfers.plan import LayerPlan, Plan, Quantity, TensorPlan
    from widthwise.transfers.request import TransferRequest
    from widthwise.transfers.transfer import transfer
    from widthwise.vocabulary import Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode

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


#: What each module has; a module is imported when one of its names is first asked for.
_MODULES = {
    "caution": ("Caution",),
    "client": ("AsyncClient", "Client"),
    "errors": ("EstimateError", "InvalidInputError", "ServiceError", "UnplacedTensorsError", "WidthwiseError"),
    "model": ("Base", "Target"),
    "rules.exponents": ("Exponents",),
    "sweeps.asking": ("Sweep",),
    "tensors.multipliers": ("ComputedMultiplier",),
    "tensors.placement": ("Tensor",),
    "theory.alignment": ("Alignment", "RoleAlignment"),
    "theory.parameterization": ("RoleExponents", "convert", "init_exponents", "shift"),
    "theory.stability": ("largest_stable", "solve", "theoretical_exponents"),
    "transfers.plan": ("LayerPlan", "Plan", "Quantity", "TensorPlan"),
    "transfers.request": ("TransferRequest",),
    "transfers.transfer": ("transfer",),
    "vocabulary": ("Form", "Layout", "Optimizer", "Parameterization", "Role", "WeightDecayMode"),
}
_LATER = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
