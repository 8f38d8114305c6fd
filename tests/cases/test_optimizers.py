"""Situations about optimizers: which rule they follow, and which decay an answer took."""

from typing import Any

import pytest

from widthwise import Base, InvalidInputError, Plan, Target, Tensor, transfer


def plan(optimizer: str, widths: tuple[int, int] = (256, 1024), **base: Any) -> Plan:
    return transfer(
        parameterization="standard",
        optimizer=optimizer,
        base=Base(width=widths[0], **{"learning_rate": 1e-3, **base}),
        target=Target(width=widths[1]),
    )


def test_adafactor_with_parameter_scaling_and_without_it() -> None:
    """Scaled, a step is relative to the RMS of the weights, ∝ m^(−½) under standard: m^(−½) is left of Adam's 1/m."""
    scaled, unscaled = (plan(word, (512, 2048), epsilon=1e-30) for word in ("adafactor", "adafactor_unscaled"))
    assert scaled.layer("hidden").learning_rate.multiplier == 0.5
    assert unscaled.layer("hidden").learning_rate.multiplier == 0.25


def test_adams_answer_says_which_decay_it_took() -> None:
    found = plan("adam", (256, 4096), learning_rate=0.003, weight_decay=0.1)
    (said,) = [each.message for each in found.warnings if each.code == "decay_assumed"]
    assert "decoupled" in said
    assert "torch.optim.Adam" in said
    assert found.layer("hidden").weight_decay.multiplier == 16  # decoupled: ηλ is kept, and η ∝ 1/m


def test_lion_steps_by_signs() -> None:
    """A sign has no size that epsilon or the gradient's scale could change: Adam's exponents, and ηλ is kept."""
    hidden = plan("lion", learning_rate=1e-4, weight_decay=1.0).layer("hidden")
    assert (hidden.learning_rate.multiplier, hidden.weight_decay.multiplier) == (0.25, 4)
    assert hidden.epsilon is None


@pytest.mark.parametrize("parameterization", ["standard", "mup"])
@pytest.mark.parametrize(
    ("optimizer", "rate", "scale"),
    [
        ("muon_unit", 1.0, "√(fan_out/fan_in)"),
        ("muon_keller", 1.0, "√max(1, fan_out/fan_in)"),
        ("muon_rms", 0.5, "0.2·√max(fan_out, fan_in)"),
    ],
)
def test_muon_for_hidden_matrices_and_adamw_for_the_rest(optimizer, rate, scale, parameterization) -> None:
    """muon-mixed: width ×4, square and 4× layers; the answer names the convention."""
    shapes = {"square": (1, 1), "up": (4, 1), "down": (1, 4)}
    tensors = [
        *(Tensor(name, (256 * o, 256 * i), (1024 * o, 1024 * i), role="hidden") for name, (o, i) in shapes.items()),
        Tensor("embed", (1000, 256), (1000, 1024), role="embedding"),
        Tensor("head", (1000, 256), (1000, 1024), role="readout"),
    ]
    words: dict[str, Any] = {"parameterization": parameterization, "layout": "out_in", "tensors": tensors}
    target = Target(width=1024)
    rates = {"hidden": 0.02, "embedding": 0.003, "readout": 0.003, "vector": 0.003, "scalar": 0.003}
    epsilons = {role: 1e-8 for role in rates if role != "hidden"}  # Muon needs none
    mixed = transfer(
        optimizer=optimizer, base=Base(width=256, learning_rate=rates, epsilon=epsilons), target=target, **words
    )
    for name in shapes:
        assert mixed.tensor(name).learning_rate.multiplier == rate
        assert mixed.tensor(name).epsilon is None
    assert mixed.layer("hidden").learning_rate.value == 0.02 * rate
    assert f"Muon × {scale}" in mixed.layer("hidden").reason
    adamw = transfer(optimizer="adamw", base=Base(width=256, learning_rate=0.003, epsilon=1e-8), target=target, **words)
    for name in ("embed", "head"):
        assert mixed.tensor(name).quantities == adamw.tensor(name).quantities


def test_muon_alone_is_asked_for_its_scale() -> None:
    for word in ("muon", "torch.optim.Muon"):
        with pytest.raises(InvalidInputError, match="three scales") as error:
            plan(word)
        assert "'muon_keller'" in str(error.value)
