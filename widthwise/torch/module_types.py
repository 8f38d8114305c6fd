"""What PyTorch's own modules say about their parameters, held against what was read."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from widthwise.caution import Caution
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.torch.names import canonical_paths

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_VECTORS = frozenset({ParameterUse.GAIN, ParameterUse.BIAS})


def contradictions(model: nn.Module, reading: ModelReading) -> Iterator[Caution]:
    """A caution for each parameter that does something else than the type of its module says."""
    paths = dict(canonical_paths(model))
    tied = {parameter.tied_to: parameter for parameter in reading.parameters if parameter.tied_to is not None}
    for path, module in model.named_modules():
        for name in module._parameters:
            parameter = reading.by_name.get(f"{paths[path]}.{name}".lstrip("."))
            if parameter is None or parameter.use is ParameterUse.UNUSED:
                continue
            wrong = _contradiction(module, name, parameter)
            other = tied.get(parameter.name, reading.by_name.get(parameter.tied_to or ""))
            if wrong is not None and (other is None or _contradiction(module, name, other) is not None):
                yield Caution(
                    "module_type_contradicted",
                    f"{parameter.name} is the {name} of an nn.{_kind(module)}, and the forward pass {wrong}; "
                    "the plan follows the forward pass",
                )


def _kind(module: Any) -> str:
    """The name of PyTorch's own class that a module is, or extends."""
    return next(base.__name__ for base in type(module).__mro__ if base.__module__.startswith("torch.nn."))


def _contradiction(module: Any, name: str, parameter: Parameter) -> str | None:
    axes = (parameter.fan_in_axes, parameter.fan_out_axes)
    rest = tuple(range(2, len(parameter.shape)))
    expected: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    if name == "bias" and isinstance(module, (nn.Linear, *_CONVOLUTIONS, *_TRANSPOSED, *_NORMS)):
        return None if parameter.use in _VECTORS else f"uses it as {parameter.use.value}"
    if name != "weight":
        return None
    if isinstance(module, _NORMS):
        return None if parameter.use in _VECTORS else f"uses it as {parameter.use.value}"
    if isinstance(module, nn.Embedding):
        looked_up = parameter.use in (ParameterUse.LOOKUP, ParameterUse.POSITION)
        return None if looked_up else f"uses it as {parameter.use.value}"
    if isinstance(module, nn.Linear):
        expected = (1,), (0,)
    elif isinstance(module, _CONVOLUTIONS):
        expected = (1, *rest), (0,)
    elif isinstance(module, _TRANSPOSED):
        expected = (0, *rest), (1,)
    if expected is None or axes == expected:
        return None
    return f"sums it over axes {list(axes[0])} instead of {list(expected[0])}"
