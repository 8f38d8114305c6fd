"""What JSON can hold and a request can't: the field is named, and what it takes."""

from typing import Any

import pytest

from widthwise import InvalidInputError
from widthwise.transfers.request import TransferRequest

BODY = {
    "parameterization": "standard",
    "optimizer": "adam",
    "base": {"width": 64, "learning_rate": 0.01},
    "target": {"width": 256},
}
TENSOR = {"name": "w", "base_shape": [64, 64], "target_shape": [256, 256]}


def alignment(value: Any) -> dict[str, Any]:
    row = {"alpha": 1.0, "omega": 0.5, "u": 1.0}
    return {"alignment": {"hidden": row, "readout": {**row, "omega": value}}}


@pytest.mark.parametrize("value", [True, False, "1", [1]])
def test_an_alignment_takes_numbers(value: Any) -> None:
    for given, field in (
        (alignment(value), "alignment.readout.omega"),
        ({"readout_omega": value}, "readout_omega"),
    ):
        with pytest.raises(InvalidInputError, match="give a number") as raised:
            TransferRequest.from_dict({**BODY, **given})
        assert raised.value.field == field


def test_numbers_of_either_kind_are_taken() -> None:
    for value in (1, 0.75):
        assert TransferRequest.from_dict({**BODY, **alignment(value)})
        assert TransferRequest.from_dict({**BODY, "readout_omega": value})


@pytest.mark.parametrize("name", ["name", "base_shape", "target_shape"])
def test_a_tensor_needs_a_name_and_two_shapes(name: str) -> None:
    rest = {key: value for key, value in TENSOR.items() if key != name}
    with pytest.raises(InvalidInputError, match=rf"tensors.*{name} is missing"):
        TransferRequest.from_dict({**BODY, "layout": "out_in", "tensors": [rest]})


@pytest.mark.parametrize("name", ["base_shape", "target_shape", "fan_in_axes", "fan_out_axes"])
@pytest.mark.parametrize("value", ["64", 64, [64, 6.4], [True, 64], {"0": 64}])
def test_shapes_and_axes_are_lists_of_integers(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=rf"tensors\S*\.{name}"):
        TransferRequest.from_dict({**BODY, "layout": "out_in", "tensors": [{**TENSOR, name: value}]})
