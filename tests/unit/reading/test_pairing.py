"""Pairing two readings: by name outside blocks, by kind inside them, and everything open in one refusal."""

from dataclasses import replace

import pytest

from widthwise.errors import InvalidInputError, UnplacedTensorsError
from widthwise.reading.model import ModelReading
from widthwise.reading.pairing import pair
from widthwise.reading.parameter import Block, Parameter, ParameterUse
from widthwise.vocabulary import Role


def matrix(name: str, out: int, fan_in: int, role: Role | None = Role.HIDDEN, block: int | None = None) -> Parameter:
    where = None if block is None else Block(0, block)
    return Parameter(name, (out, fan_in), ParameterUse.CONTRACTION, role, (1,), (0,), block=where)


def gain(name: str, width: int, block: int | None = None) -> Parameter:
    where = None if block is None else Block(0, block)
    return Parameter(name, (width,), ParameterUse.GAIN, Role.VECTOR, (), (0,), block=where)


def table(name: str, entries: int, width: int) -> Parameter:
    return Parameter(name, (entries, width), ParameterUse.LOOKUP, Role.EMBEDDING, (0,), (1,))


def model(width: int, kinds: str = "dd", role: Role | None = Role.READOUT) -> ModelReading:
    """d: a dense block of gain and matrix; m: one with a matrix alone, called a mixer."""
    parameters = [table("embed", 100, width)]
    for index, kind in enumerate(kinds):
        if kind == "d":
            parameters.append(gain(f"layers.{index}.norm", width, index))
            parameters.append(matrix(f"layers.{index}.mlp", 4 * width, width, block=index))
        else:
            parameters.append(matrix(f"layers.{index}.mixer", width, width, block=index))
    question = "two uses" if role is None else None
    parameters.append(replace(matrix("head", 100, width, role), question=question))
    return ModelReading("test", tuple(parameters), blocks=(len(kinds),), width=width)


def counterparts(base: ModelReading, target: ModelReading) -> dict[str, str]:
    return {pair.target.name: pair.base.name for pair in pair(base, target)}


def test_equal_depth_pairs_every_parameter_with_its_namesake_in_the_targets_order() -> None:
    found = pair(model(64), model(256))
    assert [each.base.name for each in found] == [each.target.name for each in found]
    assert [each.target.name for each in found] == [parameter.name for parameter in model(256).parameters]
    assert found[2].tensor.base_shape == (256, 64)
    assert found[2].tensor.target_shape == (1024, 256)
    assert found[2].tensor.fan_in_axes == (1,)
    assert found[2].tensor.role is Role.HIDDEN


def test_extra_blocks_continue_the_nearest_block_of_the_base() -> None:
    found = counterparts(model(64, "dd"), model(256, "dddd"))
    assert found["layers.3.norm"] == "layers.1.norm"
    assert found["layers.2.mlp"] == "layers.1.mlp"
    assert found["layers.0.mlp"] == "layers.0.mlp"


def test_a_shallower_target_leaves_blocks_of_the_base_unused() -> None:
    assert set(counterparts(model(64, "ddd"), model(256, "d")).values()) == {
        "embed",
        "layers.0.norm",
        "layers.0.mlp",
        "head",
    }


def test_blocks_are_paired_by_kind_although_their_numbers_differ() -> None:
    found = counterparts(model(64, "dmd"), model(256, "dddmdm"))
    assert found["layers.3.mixer"] == "layers.1.mixer"
    assert found["layers.5.mixer"] == "layers.1.mixer"
    assert found["layers.1.mlp"] == "layers.0.mlp"
    assert found["layers.4.mlp"] == "layers.2.mlp"


def test_a_kind_of_block_that_the_base_lacks_is_refused() -> None:
    with pytest.raises(UnplacedTensorsError, match=r"layers\.1\.mixer.*no block of the base"):
        pair(model(64, "dd"), model(256, "dm"))
    with pytest.raises(UnplacedTensorsError) as refused:
        pair(model(64, "dd"), model(256, "mmm"))
    assert [(group.name, group.count) for group in refused.value.groups] == [("layers.*.mixer", 3)]


def test_a_parameter_that_one_model_lacks_is_refused() -> None:
    base = model(64)
    extra = replace(base, parameters=(*base.parameters, gain("final_norm", 64)))
    with pytest.raises(UnplacedTensorsError, match=r"final_norm.*the base has this parameter"):
        pair(extra, model(256))
    with pytest.raises(UnplacedTensorsError, match=r"final_norm.*the target has this parameter"):
        pair(model(64), replace(model(256), parameters=(*model(256).parameters, gain("final_norm", 256))))


def test_readings_that_disagree_are_refused_with_what_each_saw() -> None:
    target = model(256)
    head = replace(target["head"], fan_in_axes=(0,), fan_out_axes=(1,), evidence=("matmul sums over axis 0",))
    swapped = replace(target, parameters=(*target.parameters[:-1], head))
    with pytest.raises(UnplacedTensorsError, match=r"fan-in axes \(1,\) in the base \(head\).*matmul sums over axis 0"):
        pair(model(64), swapped)


def test_every_open_role_is_listed_and_a_pattern_settles_them() -> None:
    base, target = model(64, role=None), model(256, role=None)
    with pytest.raises(UnplacedTensorsError, match=r"head.*two uses; name its role in roles.*readout") as caught:
        pair(base, target)
    assert [name for name, _ in caught.value.problems] == ["head"]
    found = pair(base, target, {"h*d": "readout"})
    assert found[-1].tensor.role is Role.READOUT


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'decoder' matches no parameter"):
        pair(model(64), model(256), {"decoder": "readout"})


def test_an_unknown_role_is_refused_with_the_roles_that_there_are() -> None:
    with pytest.raises(InvalidInputError, match="is 'router'; give one of 'embedding'"):
        pair(model(64), model(256), {"head": "router"})


def test_axes_that_were_not_read_are_left_to_the_declared_role() -> None:
    def with_unused(width: int) -> ModelReading:
        spare = Parameter("spare", (width,), ParameterUse.UNUSED, None, (), (), question="it reaches no output")
        return replace(model(width), parameters=(*model(width).parameters, spare))

    with pytest.raises(UnplacedTensorsError, match=r"spare.*it reaches no output"):
        pair(with_unused(64), with_unused(256))
    tensor = pair(with_unused(64), with_unused(256), {"spare": "vector"})[-1].tensor
    assert tensor.role is Role.VECTOR
    assert tensor.fan_in_axes is None


def test_a_parameter_of_which_only_the_shape_is_known_is_left_to_its_shapes() -> None:
    def shapes(width: int) -> ModelReading:
        parameters = (Parameter("a", (width, width), ParameterUse.UNKNOWN, None, (), ()),)
        return ModelReading("shapes", parameters)

    (found,) = pair(shapes(64), shapes(256))
    assert (found.tensor.role, found.tensor.fan_in_axes) == (None, None)
