"""How updates and initial weights align with activations, read of two passes of a model: α, ω, u and A."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, log
from typing import Any, TypeAlias

from torch import nn

from widthwise.torch.activations import Activations, rms

RATIOS = ("alpha", "omega", "u")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

#: Of one weight, α, ω, u and "log_alignment" as logs to the base fan-in; None if there is no ratio: nothing has moved.
Ratios: TypeAlias = Mapping[str, float | None]


def weights_of(passed: Mapping[str, Activations]) -> dict[str, Any]:
    """Return copies of the weights that multiply their module's input, by the module's path."""
    return {path: each.module.weight.detach().clone() for path, each in passed.items() if _multiplies(each.module)}


def ratios(
    now: Mapping[str, Activations],
    start: Mapping[str, Activations],
    weights: Mapping[str, Any],
    fan_ins: Mapping[str, int],
) -> Iterator[tuple[str, Ratios]]:
    """Return the readings by path of every module that multiplies its input by a weight.

    now, start: the same batch through the model as it is and as it was. weights: as they were. fan_ins: by path. A
    module that saw other shapes of entries is left out. Everett et al. 2024 (2407.05872), section 3, in RMS norms.
    """
    for path, before in weights.items():
        if (
            path in now
            and path in fan_ins
            and now[path].module.weight.shape == before.shape
            and _shapes(now[path]) == _shapes(start[path])
        ):
            yield path, _ratios(now[path], start[path], before.float(), fan_ins[path])


def _multiplies(module: nn.Module) -> bool:
    """Whether a module's weight multiplies its input; transformers' Conv1D is one without being a class of PyTorch."""
    return isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or type(module).__name__ == "Conv1D"


def _shapes(passed: Activations) -> list[Any]:
    return [None if each is None else each.shape for each in passed.inputs]


def _ratios(now: Activations, start: Activations, before: Any, fan_in: int) -> Ratios:
    weight = now.module.weight.detach().float()
    change = weight - before
    present, past = [each.float() for each in now.inputs], [each.float() for each in start.inputs]
    moves = [each - other for each, other in zip(present, past, strict=True)]
    pairs = {
        "alpha": (change, past),
        "omega": (before, moves),
        "u": (change, moves),
        "log_alignment": (weight, present),
    }
    return {name: _exponent(now.module, *of, fan_in) for name, of in pairs.items()}


def _exponent(module: Any, weight: Any, inputs: Sequence[Any], fan_in: int) -> float | None:
    """The log of ‖W z‖ / (‖W‖‖z‖) to the base fan-in, in RMS norms; None if one is 0 or not finite."""
    norms = rms(weight) * rms(inputs)
    product = rms([_product(module, weight, each) for each in inputs])
    ratio = product / norms if norms > 0 else 0.0
    return log(ratio) / log(fan_in) if 0 < ratio < inf and fan_in > 1 else None


def _product(module: Any, weight: Any, inputs: Any) -> Any:
    """What a module makes of an input with another weight and without its bias."""
    if isinstance(module, nn.Linear):
        return nn.functional.linear(inputs, weight)
    return module._conv_forward(inputs, weight, None) if isinstance(module, _CONVOLUTIONS) else inputs @ weight
