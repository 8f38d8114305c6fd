"""Situations about optimizers: which rule they follow, and which decay an answer took.

muon-mixed, the sixteenth case, needs more than one optimizer in a plan: until then Muon's name is refused.
"""

from typing import Any

import pytest

from widthwise import Base, InvalidInputError, Plan, Target, transfer


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


def test_muon_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="optimizer is 'muon'; give one of 'sgd'"):
        plan("muon")
