"""Parameters of modules that this pass did not run although their siblings ran: experts that no token chose."""

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.torch.names import canonical_paths


def with_siblings(model: nn.Module, reading: ModelReading) -> ModelReading:
    """The reading, in which an unused element of a ModuleList is read as its used siblings are.

    Siblings are of one type, and hold parameters of the same shapes that are all read alike.
    """
    found: dict[str, Parameter] = {}
    paths = dict(canonical_paths(model))
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            found.update(_read_alike(paths[path], module, reading))
    if not found:
        return reading
    parameters = tuple(found.get(parameter.name, parameter) for parameter in reading.parameters)
    return replace(reading, parameters=parameters)


def _read_alike(path: str, siblings: nn.ModuleList, reading: ModelReading) -> Iterator[tuple[str, Parameter]]:
    """The parameters of unused elements, each as those in its place in the used elements are read."""
    elements = [
        (type(module), _parameters(f"{path}.{index}".lstrip("."), module, reading))
        for index, module in enumerate(siblings)
        if module is not None  # a ModuleList may have gaps
    ]
    for kind, parameters in elements:
        if _is_used(parameters):
            continue
        alike = [others for its_kind, others in elements if its_kind is kind and _is_used(others)]
        for inner, parameter in parameters.items():
            places = [others[inner] for others in alike if inner in others and others[inner].shape == parameter.shape]
            if places and len({_what(place) for place in places}) == 1:
                evidence = (*places[0].evidence, f"no data reached it in this pass; it is read as {places[0].name} is")
                yield parameter.name, replace(places[0], name=parameter.name, evidence=evidence)


def _parameters(path: str, module: nn.Module, reading: ModelReading) -> dict[str, Parameter]:
    """The read parameters of a module, by their names inside it."""
    return {
        name: reading.by_name[f"{path}.{name}"]
        for name, _ in module.named_parameters()
        if f"{path}.{name}" in reading.by_name
    }


def _is_used(element: dict[str, Parameter]) -> bool:
    return any(parameter.use is not ParameterUse.UNUSED for parameter in element.values())


def _what(parameter: Parameter) -> tuple[object, ...]:
    return (parameter.use, parameter.role, parameter.fan_in_axes, parameter.fan_out_axes, parameter.block)
