"""A trace places every parameter of every model in the zoo once, and as its code says."""

import pytest

from tests.models.zoo.everything import ZOO
from tests.models.zoo.judge import faults
from tests.models.zoo.specimen import Specimen
from widthwise.torch import trace


@pytest.mark.parametrize("specimen", ZOO, ids=str)
def test_every_parameter_is_placed_once_and_as_its_code_says(specimen: Specimen) -> None:
    model, inputs = specimen.build()
    reading = trace(model.eval(), inputs)
    assert faults(specimen.parameters(model), specimen.truths, reading) == {}
