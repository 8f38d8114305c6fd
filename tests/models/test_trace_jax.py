"""A trace places every parameter of every JAX model in the zoo once, and as its code says."""

import pytest

from tests.models.zoo.jax_specimen import JaxSpecimen, shapes_by_path
from tests.models.zoo.jax_trees import TREES
from tests.models.zoo.judge import faults
from tests.models.zoo.linen import LINEN
from widthwise.jax import trace

ZOO = (*LINEN, *TREES)


@pytest.mark.parametrize("specimen", ZOO, ids=str)
def test_every_parameter_of_a_jax_model_is_placed_once_and_as_its_code_says(specimen: JaxSpecimen) -> None:
    forward, params, inputs = specimen.build()
    assert faults(shapes_by_path(params, specimen.boxes), specimen.truths, trace(forward, params, *inputs)) == {}
