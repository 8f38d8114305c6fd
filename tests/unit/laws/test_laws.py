"""Published laws: each returns the numbers that its source prints, and says where it doesn't hold."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widthwise.laws import LAWS, PublishedRate, published_at, published_cautions
from widthwise.laws.deepseek import DEEPSEEK
from widthwise.laws.law import DERIVED, QUANTITIES
from widthwise.laws.registry import LEFT_OUT
from widthwise.laws.step_law import COVARIANCE, STEP_LAW

ROOT = Path(__file__).parents[3]
BILLION = {"parameters": 1e9, "tokens": 1e11}


def at(law: str, place: dict[str, float | str], optimizer: str | None = None) -> PublishedRate:
    return next(one for one in published_at(place, optimizer=optimizer) if one.law == law)


@pytest.mark.parametrize(
    ("law", "place", "printed"),
    [
        ("step_law", BILLION, 1.79 * 1e9**-0.713 * 1e11**0.307),
        # The rates that DeepSeek LLM's authors trained 7B and 67B with, on 2T tokens (2401.02954, Table 2).
        ("deepseek", {"parameters": 7e9, "tokens": 2e12}, 4.2e-4),
        ("deepseek", {"parameters": 67e9, "tokens": 2e12}, 3.2e-4),
        ("joint_moe", {"parameters": 1e9, "experts": 1.0}, math.exp(8.39 - 0.81 * math.log(1e9))),
        ("joint_moe", {"parameters": 1e9, "experts": 32.0}, math.exp(8.39 - 0.81 * math.log(1e9)) * 32**-0.25),
        # The reference point of Marin's code, and the worked example of its issue 6044.
        ("marin_adamh", {"tokens": 2.5e9, "batch_tokens": 64 * 4096.0}, 0.0063),
        ("marin_adamh", {"tokens": 2.5e9, "batch_tokens": 1024 * 4096.0}, 0.01),
        ("marin_muonh", {"tokens": 1.007e13, "width": 2560.0, "batch_tokens": 33.55e6}, 0.003733),
        # Tinker: 5e-5·10·(2000/4096)^0.781 for an 8B Llama.
        ("tinker_lora", {"width": 4096.0, "model": "meta-llama/Llama-3.1-8B", "rank": 32.0}, 2.86e-4),
        ("tinker_lora", {"width": 2000.0, "model": "Qwen3", "rank": 1.0}, 5e-4),
    ],
)
def test_a_law_returns_what_its_source_prints(law, place, printed) -> None:
    assert at(law, place).learning_rate == pytest.approx(printed, rel=0.02)


def test_the_batches_that_laws_were_tuned_at_are_those_printed() -> None:
    assert STEP_LAW.best_batch is not None
    assert DEEPSEEK.best_batch is not None
    assert STEP_LAW.best_batch(BILLION) == pytest.approx(0.58 * 1e11**0.571)
    assert DEEPSEEK.best_batch({"parameters": 7e9, "tokens": 2e12}) == pytest.approx(2304 * 4096, rel=0.03)


def test_step_laws_interval_is_that_of_its_bootstrap() -> None:
    """`python -m benchmarks.step_law_bootstrap` prints 0.28 octaves in the median of the grids."""
    low, high = at("step_law", {"parameters": 3.33e8, "tokens": 1.53e10}).interval or (0, 0)
    assert math.log2(high / low) == pytest.approx(2 * 1.96 * math.sqrt(COVARIANCE[0][0]) / math.log(2))
    assert all(COVARIANCE[i][j] == COVARIANCE[j][i] for i in range(3) for j in range(3))
    far = at("step_law", {"parameters": 7e10, "tokens": 1.5e13}).interval or (0, 0)
    assert far[1] / far[0] > 3 * high / low


@pytest.mark.parametrize(
    ("place", "law", "said"),
    [
        ({**BILLION, "optimizer": "muon"}, "step_law", "adamw, not muon"),
        ({**BILLION, "experts": 8.0}, "step_law", "dense models"),
        ({**BILLION, "rank": 8.0}, "deepseek", "pre-training, not LoRA"),
        ({"parameters": 7e9, "tokens": 1e11}, "step_law", "parameters 2.1e+08 to 1.08e+09, not 7e+09"),
        ({**BILLION, "batch_tokens": 1e5}, "step_law", "batches near 1.1e+06 tokens, not 1e+05"),
        ({"parameters": 1e8, "tokens": 1e8}, "deepseek", "flops 1e+17 to 8.1e+23, not 6e+16"),
        (
            {"tokens": 1e12, "parameters": 1e9, "batch_tokens": 1e6},
            "marin_adamh",
            "tokens_per_parameter 0 to 250, not 1e",
        ),
        ({"model": "gemma-2b", "width": 2048.0, "rank": 8.0}, "tinker_lora", "llama and qwen models, not gemma-2b"),
    ],
)
def test_a_place_outside_of_what_a_law_was_fitted_to_is_said(place, law, said) -> None:
    found = at(law, place)
    assert not found.valid
    assert any(text.startswith(said) for text in found.outside)


def test_what_a_place_lacks_or_leaves_open_is_said() -> None:
    found = at("step_law", {"tokens": 1e10})
    assert (found.learning_rate, found.missing, found.valid) == (None, ("parameters",), False)
    assert at("step_law", BILLION).assumed == ("AdamW", "a dense model", "the law's best batch")
    assert at("step_law", {**BILLION, "optimizer": "AdamW", "experts": 1.0, "batch_tokens": 1.1e6}).assumed == ()
    assert at("step_law", {**BILLION, "batch_tokens": 1.1e6}, optimizer="adamw").valid
    assert at("tinker_lora", {"model": "gemma-2b", "width": 2048.0, "rank": 8.0}).learning_rate is None


@given(
    st.dictionaries(
        st.sampled_from(["parameters", "tokens", "batch_tokens", "width", "experts", "rank", "depth"]),
        st.floats(1, 1e15),
    )
)
def test_any_place_has_an_answer_from_every_law(place) -> None:
    for one in published_at(place):
        assert (one.learning_rate is None) == bool(one.missing)
        assert one.learning_rate is None or 0 < one.learning_rate < math.inf
        if one.interval is not None and one.learning_rate is not None:
            assert one.interval[0] <= one.learning_rate <= one.interval[1]
        json.dumps(one.to_dict())


def test_every_law_is_complete_and_described() -> None:
    page = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    for law in LAWS:
        assert set(law.needs) <= set(QUANTITIES)
        assert set(law.ranges) <= set(QUANTITIES) | set(DERIVED)
        assert re.search(r"\d{4}\.\d{5}|/", law.source)
        assert law.formula in page
        assert (law.interval is None) == (law.interval_source == "")
    assert all(name in page for name in LEFT_OUT)


def published(rate: float, interval=None, outside=()) -> PublishedRate:
    return PublishedRate("x", "Some law", "", "", rate, interval, (), outside, "AdamW", ())


@pytest.mark.parametrize(
    ("interval", "other", "warned"),
    [
        (None, published(1.9e-3), False),
        (None, published(2.1e-3), True),
        (None, published(0.4e-3), True),
        ((0.4e-3, 2.2e-3), published(2.1e-3), False),
        ((0.5e-3, 2e-3), published(3e-3), True),
        ((0.5e-3, 2e-3), published(3e-3, (1.9e-3, 5e-3)), False),
        (None, published(9e-3, outside=("dense models",)), False),
    ],
)
def test_a_law_that_differs_by_more_than_twice_and_both_intervals_is_warned_about(interval, other, warned) -> None:
    found = published_cautions(1e-3, interval, [other, published(1e-3)])
    assert [one.code for one in found] == ["published_laws_differ"] * warned
    if warned:
        assert "Some law has" in found[0].message
        assert "1 other agrees, so" in found[0].message
