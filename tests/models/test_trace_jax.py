"""A trace places every parameter of every JAX model in the zoo once, and as its code says."""

import pytest

from tests.models.zoo.jax_specimen import JaxSpecimen, shapes_by_path
from tests.models.zoo.jax_trees import TREES
from tests.models.zoo.jax_vision import VISION
from tests.models.zoo.judge import faults
from tests.models.zoo.linen import LINEN
from widthwise.jax import trace
from widthwise.reading.parameter import Feeds, ParameterUse

ZOO = (*LINEN, *TREES, *VISION)


@pytest.mark.parametrize("specimen", ZOO, ids=str)
def test_every_parameter_of_a_jax_model_is_placed_once_and_as_its_code_says(specimen: JaxSpecimen) -> None:
    forward, params, inputs = specimen.build()
    reading = trace(forward, params, *inputs)
    assert faults(shapes_by_path(params, specimen.boxes), specimen.truths, reading) == {}
    assert (reading.blocks, reading.width) == (specimen.blocks, specimen.width)
    found = [(each.count, each.head_dim, each.scale) for each in reading.attentions]
    assert found == [(count, size, pytest.approx(size**-0.5, rel=1e-5)) for count, size in specimen.attentions]
    constants = [(each.place, each.value) for each in reading.multipliers]
    assert constants == [(place, pytest.approx(value, rel=1e-5)) for place, value in specimen.multipliers]
    assert {caution.code for caution in reading.cautions} <= {"router_as_hidden"}


def test_the_sides_of_an_attention_are_known_in_every_library() -> None:
    for specimen in ZOO:
        forward, params, inputs = specimen.build()
        reading = trace(forward, params, *inputs)
        for each in reading.parameters:
            side = next((side for side in ("query", "key", "value") if f".{side}" in each.name), None)
            if side is not None and each.use is ParameterUse.CONTRACTION:
                assert each.feeds is Feeds(side), each.name
