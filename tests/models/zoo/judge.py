"""Hold a reading of a specimen to its truths."""

from collections import defaultdict
from collections.abc import Mapping

from torch import nn

from tests.models.zoo.truth import Truths, truth_of
from widthwise.reading.model import ModelReading


def faults(parameters: Mapping[str, nn.Parameter], truths: Truths, reading: ModelReading) -> dict[str, list[str]]:
    """What a reading has wrong, by parameter: each of the model's must be placed once, as its truth says.

    The second use of tied weights is listed under any name that the model has for them, or one that it lacks.
    """
    found = defaultdict(list)
    tied = defaultdict(list)
    for parameter in reading.parameters:
        (found[parameter.name] if parameter.tied_to is None else tied[parameter.tied_to]).append(parameter)
    wrong = {name: ["the model has no such parameter"] for name in [*found, *tied] if name not in parameters}
    for name, weights in parameters.items():
        truth = truth_of(name, truths)[1]
        said = [fault for parameter in found[name] for fault in truth.faults(parameter)]
        if len(found[name]) != 1:
            said.append(f"placed {len(found[name])} times instead of once")
        said += [
            f"shape {parameter.shape} instead of {tuple(weights.shape)}"
            for parameter in [*found[name], *tied[name]]
            if parameter.shape != tuple(weights.shape)
        ]
        if len(tied[name]) != (truth.also is not None):
            said.append(f"{len(tied[name])} tied to it instead of {int(truth.also is not None)}")
        if truth.also is not None:
            said += [f"tied: {fault}" for parameter in tied[name] for fault in truth.also.faults(parameter)]
        if said:
            wrong[name] = said
    return wrong
