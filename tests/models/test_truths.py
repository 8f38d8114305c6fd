"""The zoo's truths are complete, and autograd agrees with them on what is unused."""

from collections.abc import Iterator, Mapping

import pytest
import torch

from tests.models.zoo.everything import ZOO
from tests.models.zoo.specimen import Specimen
from tests.models.zoo.truth import truth_of


def test_no_two_specimens_share_a_name() -> None:
    assert len({specimen.name for specimen in ZOO}) == len(ZOO)


@pytest.mark.parametrize("specimen", ZOO, ids=str)
def test_every_parameter_has_a_truth_and_every_truth_a_parameter(specimen: Specimen) -> None:
    model, inputs = specimen.build()
    model.eval().requires_grad_()
    outputs = model(**inputs) if isinstance(inputs, Mapping) else model(*inputs)
    total = torch.stack([output.float().square().sum() for output in _tensors(outputs)]).sum()
    total.backward()
    patterns = set()
    wrong = []
    for name, parameter in specimen.parameters(model).items():
        pattern, truth = truth_of(name, specimen.truths)
        patterns.add(pattern)
        if truth.axes is not None and len(truth.axes) != parameter.dim():
            wrong.append((name, f"{truth.axes!r} for {list(parameter.shape)}"))
        if (parameter.grad is None) is truth.has_gradient:
            wrong.append((name, f"{truth.use}, and its gradient is {'missing' if parameter.grad is None else 'there'}"))
    assert wrong == []
    assert set(specimen.truths) - patterns == set()


def _tensors(outputs: object) -> Iterator[torch.Tensor]:
    if isinstance(outputs, torch.Tensor) and outputs.requires_grad:
        yield outputs
    elif isinstance(outputs, Mapping):
        for output in outputs.values():
            yield from _tensors(output)
    elif isinstance(outputs, tuple | list):
        for output in outputs:
            yield from _tensors(output)
