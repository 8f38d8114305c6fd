"""Folding: one parameterization becomes its equivalent without multipliers, and nothing else changes."""

import math

import pytest

from widthwise import Base, InvalidInputError, Plan, Target, Tensor, transfer
from widthwise.folding import folded

BASE = Base(width=64, learning_rate=0.003, epsilon=1e-8, init_std=0.02, weight_decay=0.1, gradient_rms=1e-3)
TENSORS = [
    Tensor("embed", (97, 64), (97, 256), role="embedding", fan_in_axes=(0,), fan_out_axes=(1,)),
    Tensor("up", (256, 64), (1024, 256), role="hidden", fan_in_axes=(1,), fan_out_axes=(0,)),
    Tensor("gain", (64,), (256,), role="vector"),
    Tensor("head", (97, 64), (97, 256), role="readout", fan_in_axes=(1,), fan_out_axes=(0,)),
]


def plan(parameterization: str, optimizer: str, tensors: list[Tensor] = TENSORS, **words: str) -> Plan:
    return transfer(
        **{"weight_decay_mode": "decoupled", "parameterization": parameterization, "optimizer": optimizer, **words},  # type: ignore[arg-type]  # words are strings
        base=BASE,
        target=Target(width=256),
        tensors=tensors,
    )


def numbers(plan: Plan) -> dict[str, dict[str, tuple[float | None, float, float]]]:
    return {
        of.name if hasattr(of, "name") else of.role.value: {
            name: (value, multiplier, round(exponent, 9) + 0.0)
            for name, (value, multiplier, exponent) in of.quantities.items()
        }
        for of in (*plan.layers, *plan.tensors)
    }


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adafactor", "lion", "adafactor_unscaled"])
@pytest.mark.parametrize("mode", ["decoupled", "independent", "coupled"])
def test_ntk_folds_into_standard(optimizer: str, mode: str) -> None:
    """The two are one class: hidden and readout move their multiplier into the weights, embeddings have none."""
    wanted = numbers(plan("standard", optimizer, weight_decay_mode=mode))
    found = numbers(folded(plan("ntk", optimizer, weight_decay_mode=mode)))
    for tensor, quantities in wanted.items():
        for name, expected in quantities.items():
            assert found[tensor][name] == pytest.approx(expected, rel=1e-9), (tensor, name)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon_unit", "scion"])
def test_mup_folds_into_its_form_without_multipliers(optimizer: str) -> None:
    wanted = numbers(plan("mup", optimizer, form="table_3"))
    found = numbers(folded(plan("mup", optimizer)))
    for tensor, quantities in wanted.items():
        assert {name: found[tensor][name] for name in quantities} == {
            name: pytest.approx(expected, rel=1e-9) for name, expected in quantities.items()
        }


def test_a_folded_plan_is_whole() -> None:
    found = folded(plan("mup", "adamw"))
    assert Plan.from_dict(found.to_dict()) == found
    for tensor in found.tensors:
        for name, quantity in tensor.quantities.items():
            assert math.prod(tensor.factors(name).values()) == pytest.approx(quantity.multiplier)
    assert found.model.logit_multiplier is not None
    assert found.model.logit_multiplier.multiplier == 1
    assert "folded into the weights (equivalence map)" in found.tensor("head").reason
    assert folded(found) is found
    standard = plan("standard", "adamw")
    assert folded(standard) is standard


def test_a_tied_weight_with_two_multipliers_has_no_such_form() -> None:
    tied = Tensor("head", (97, 64), (97, 256), role="readout", fan_in_axes=(1,), fan_out_axes=(0,), tied_to="embed")
    with pytest.raises(InvalidInputError, match=r"'head' is tied to 'embed', and their forward multipliers differ"):
        folded(plan("mup", "adamw", [*TENSORS[:-1], tied]))
