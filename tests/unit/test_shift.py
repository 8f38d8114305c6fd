"""A measured finite-width shift in a transfer: one multiplier of every learning rate, by the widths of the model."""

import pytest

from widthwise import Base, Exponents, Target, Tensor, transfer
from widthwise.errors import InvalidInputError
from widthwise.rules.shift import shift_multiplier
from widthwise.transfers.plan import Plan

TENSORS = (
    Tensor("embedding", (256, 64), (256, 512), role="embedding"),
    Tensor("hidden", (64, 64), (512, 512), fan_in_axes=(0,), fan_out_axes=(1,)),
    Tensor("temperature", (), (), role="scalar"),
)
LEARNING_RATE, WEIGHT_DECAY = 0.01, 0.1


def plan(shift: float, target: int = 512, **more) -> Plan:
    options = {"parameterization": "standard", "optimizer": "adam"} | more
    return transfer(
        base=Base(width=64, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        target=Target(width=target),
        exponents=Exponents(shift=shift, source="calibration", widths=(64, 512)),
        **options,
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_every_learning_rate_gains_the_same_multiplier(optimizer: str) -> None:
    plain, shifted = (plan(k, tensors=TENSORS, optimizer=optimizer) for k in (0.0, 32.0))
    expected = 2 ** (32 / 64 - 32 / 512)  # x∞ − k/n: the narrow base lies further below the limit
    for before, after in zip((*plain.layers, *plain.tensors), (*shifted.layers, *shifted.tensors), strict=True):
        assert after.learning_rate.multiplier == pytest.approx(before.learning_rate.multiplier * expected)
        assert after.learning_rate.value == pytest.approx(before.learning_rate.value * expected)
        assert after.learning_rate.exponent == before.learning_rate.exponent
        assert after.init_std == before.init_std
        assert after.epsilon == before.epsilon
        # decoupled decay: η·λ is what it was
        assert after.learning_rate.value * after.weight_decay.value == pytest.approx(LEARNING_RATE * WEIGHT_DECAY)
        assert f"×{expected:.4g} for a finite-width shift of 32/n octaves from 64 to 512" in after.reason


def test_independent_decay_stays_as_it_was() -> None:
    assert plan(32.0, weight_decay_mode="independent").layer("hidden").weight_decay.multiplier == 1


def test_an_unchanged_width_changes_nothing() -> None:
    same = plan(32.0, target=64)
    assert {layer.learning_rate.multiplier for layer in same.layers} == {1.0}
    assert {tuple(layer.factors("learning_rate")) for layer in same.layers} == {("width",)}


def test_a_shift_of_one_octave_doubles_the_learning_rate() -> None:
    """128/64 − 128/128: it halves the decoupled decay, and every answer says whose factor that is."""
    made = plan(128.0, target=128).layer("hidden")
    assert made.factors("learning_rate") == {"width": 0.5, "shift": 2.0}
    assert made.factors("weight_decay") == {"width": 2.0, "shift": 0.5}


@pytest.mark.parametrize("widths", [(64, 128), (128, 64)])
def test_no_shift_changes_nothing_and_an_equal_width_neither(widths: tuple[int, int]) -> None:
    assert shift_multiplier(0.0, widths) == shift_multiplier(32.0, (64, 64)) == 1.0


def test_shifts_compose_over_an_intermediate_width() -> None:
    def multiplier(base: int, target: int) -> float:
        made = transfer(
            parameterization="mup",
            optimizer="adam",
            base=Base(width=base),
            target=Target(width=target),
            exponents=Exponents(shift=-20.0),
        )
        return made.layer("hidden").learning_rate.multiplier

    assert multiplier(64, 1024) == pytest.approx(multiplier(64, 200) * multiplier(200, 1024))


def test_the_provenance_names_the_shift() -> None:
    assert plan(32.0).provenance["exponents"] == {"source": "calibration", "shift": 32.0}
    assert "shift" not in plan(0.0).provenance["exponents"]


def test_a_shift_needs_the_width_stated() -> None:
    with pytest.raises(InvalidInputError, match=r"base\.width is missing.*32/n octaves") as refusal:
        transfer(
            parameterization="standard",
            optimizer="adam",
            base=Base(learning_rate=LEARNING_RATE),
            target=Target(),
            tensors=TENSORS,
            exponents=Exponents(shift=32.0),
        )
    assert refusal.value.field == "base.width"


def test_a_shifted_plan_does_not_say_that_it_agrees_with_theory() -> None:
    agreed = Exponents(learning_rate={"hidden": 1.0}, intervals={"hidden": (0.9, 1.1)}, widths=(64, 512), shift=32.0)
    made = transfer(
        parameterization="standard",
        optimizer="adam",
        base=Base(width=64),
        target=Target(width=512),
        exponents=agreed,
    )
    assert "measured_agrees_with_theory" not in {code for code, _ in made.warnings}


@pytest.mark.parametrize("shift", [float("nan"), float("inf"), 1e6])
def test_an_absurd_shift_is_refused(shift: float) -> None:
    with pytest.raises(InvalidInputError, match="finite-width shift"):
        plan(shift)
