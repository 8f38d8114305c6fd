"""Conversions at one size: the same update where an identity exists, and a named heuristic elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widthwise.conversion import convert_decay, convert_lora_alpha, convert_lora_plus, convert_rate
from widthwise.errors import InvalidInputError

MUON = ("muon_unit", "muon_keller", "muon_rms")
WORDS = (*MUON, "adamw")
fans = st.integers(1, 10_000)


def scaled(word: str, out: int, into: int) -> float:
    """What Muon's code multiplies an orthogonal update by, as each code has it."""
    return {
        "muon_unit": (out / into) ** 0.5,
        "muon_keller": max(1, out / into) ** 0.5,
        "muon_rms": 0.2 * max(out, into) ** 0.5,
    }[word]


@given(st.sampled_from(MUON), st.sampled_from(MUON), fans, fans)
def test_muons_scales_give_the_same_update(one, other, out, into) -> None:
    found = convert_rate(0.02, source=one, target=other, fan_out=out, fan_in=into)
    assert found.exact
    assert found.value * scaled(other, out, into) == pytest.approx(0.02 * scaled(one, out, into))


@pytest.mark.parametrize(("width", "ratio"), [(768, 5.5), (2048, 9.1), (4096, 12.8)])
def test_published_ratios_of_square_matrices(width, ratio) -> None:
    found = convert_rate(1.0, source="muon_rms", target="muon_unit", fan_out=width, fan_in=width)
    assert found.value == pytest.approx(ratio, abs=0.06)


@pytest.mark.parametrize("shape", [(64, 64), (128, 32), (32, 128)])
def test_muon_by_rms_steps_as_far_as_adamw(shape) -> None:
    """An update of Muon in numbers: entries of RMS c·η, which is what AdamW's is taken to have."""
    found = convert_rate(3e-4, source="adamw", target="muon_keller", fan_out=shape[0], fan_in=shape[1])
    assert not found.exact
    u, _, v = np.linalg.svd(np.random.default_rng(0).normal(size=shape), full_matrices=False)
    update = found.value * scaled("muon_keller", *shape) * (u @ v)
    assert float(np.sqrt(np.mean(update**2))) == pytest.approx(0.2 * 3e-4)
    assert convert_rate(3e-4, source="adamw", target="muon_rms", fan_out=8, fan_in=4).value == 3e-4


@given(st.sampled_from(WORDS), st.sampled_from(WORDS), fans, fans, st.floats(1e-6, 1.0))
def test_a_rate_comes_back(one, other, out, into, c) -> None:
    there = convert_rate(0.1, source=one, target=other, fan_out=out, fan_in=into, c=c)
    back = convert_rate(there.value, source=other, target=one, fan_out=out, fan_in=into, c=c)
    assert back.value == pytest.approx(0.1)


def test_decay_in_other_modes() -> None:
    independent = convert_decay(0.1, optimizer="adamw", learning_rate=0.003, source="decoupled", target="independent")
    assert independent.value == pytest.approx(0.0003)
    assert "schedule" in independent.reason
    back = convert_decay(
        independent.value, optimizer="adamw", learning_rate=0.003, source="independent", target="decoupled"
    )
    assert back.value == pytest.approx(0.1)
    sgd = convert_decay(0.1, optimizer="sgd", learning_rate=0.1, source="coupled", target="decoupled")
    assert (sgd.value, sgd.exact) == (0.1, True)
    with pytest.raises(InvalidInputError, match="no decoupled counterpart"):
        convert_decay(0.1, optimizer="adam", learning_rate=0.1, source="coupled", target="decoupled")


def test_alpha_under_both_scales() -> None:
    assert convert_lora_alpha(32, rank=16, source="lora", target="rslora").value == 32 / 16 * math.sqrt(16)
    assert convert_lora_alpha(8, rank=16, source="rslora", target="lora").value == 32
    assert convert_lora_alpha(8, rank=9, source="lora", target="lora").value == pytest.approx(8)


def test_lora_plus_has_its_ratio() -> None:
    assert convert_lora_plus(1e-4).value == pytest.approx(16e-4)
    assert not convert_lora_plus(1e-4).exact


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: convert_rate(0, source="adamw", target="muon_rms", fan_out=1, fan_in=1), "learning_rate"),
        (lambda: convert_rate(math.inf, source="adamw", target="muon_rms", fan_out=1, fan_in=1), "learning_rate"),
        (lambda: convert_rate(1, source="lion", target="muon_rms", fan_out=1, fan_in=1), "source"),
        (lambda: convert_rate(1, source="adamw", target="muon", fan_out=1, fan_in=1), "target"),
        (lambda: convert_rate(1, source="adamw", target="muon_rms", fan_out=0, fan_in=1), "fan_out"),
        (lambda: convert_rate(1, source="adamw", target="muon_rms", fan_out=1, fan_in=1, c=2), "c"),
        (lambda: convert_lora_plus(0), "learning_rate"),
        (lambda: convert_lora_plus(1, ratio=-1), "ratio"),
        (lambda: convert_lora_alpha(1, rank=0, source="lora", target="rslora"), "rank"),
        (lambda: convert_lora_alpha(0, rank=1, source="lora", target="rslora"), "alpha"),
        (lambda: convert_lora_alpha(1, rank=1, source="lora", target="plus"), "target"),
        (
            lambda: convert_decay(-1, optimizer="adam", learning_rate=1, source="decoupled", target="independent"),
            "weight_decay",
        ),
        (
            lambda: convert_decay(1, optimizer="adam", learning_rate=0, source="decoupled", target="independent"),
            "learning_rate",
        ),
    ],
)
def test_wrong_numbers_are_refused_by_name(call, field) -> None:
    with pytest.raises(InvalidInputError) as error:
        call()
    assert error.value.field == field
