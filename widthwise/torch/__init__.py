"""PyTorch models: read from one forward pass, a plan from one to another, and the plan put into training."""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise  # an installed PyTorch that is broken
    raise ModuleNotFoundError(
        "widthwise.torch needs PyTorch, which Widthwise never installs: install the build for your machine "
        "(https://pytorch.org/get-started/locally), then `pip install widthwise` in the same environment",
        name="torch",
    ) from None

from widthwise.torch.adam_atan2 import AdamAtan2
from widthwise.torch.attach import attach
from widthwise.torch.check import check
from widthwise.torch.coordinates import coordinate_check
from widthwise.torch.init import init_
from widthwise.torch.measure import measure
from widthwise.torch.multipliers import apply_multipliers, multipliers
from widthwise.torch.param_groups import param_groups
from widthwise.torch.plan import plan
from widthwise.torch.trace import trace

__all__ = [
    "AdamAtan2",
    "apply_multipliers",
    "attach",
    "check",
    "coordinate_check",
    "init_",
    "measure",
    "multipliers",
    "param_groups",
    "plan",
    "trace",
]
