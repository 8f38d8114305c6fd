"""The measurement of an optimum over an axis, on losses whose best learning rate is known."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bank import Bank
from benchmarks.batch_size import noise_scale
from benchmarks.optimum_over_axis import (
    Excess,
    Place,
    excesses,
    gap,
    in_base_rates,
    optima_over,
    row_of,
    rule_factor,
    table,
)
from widthwise.calibration.trial import Trial
from widthwise.estimate.optimum import Optimum
from widthwise.vocabulary import TrialStatus

SEEDS = 3
PLACES = [Place(value, {"optimum": -6.0 - math.log2(value) / 2}, 32) for value in (1.0, 2.0, 4.0)]


class KnownBank(Bank):
    """Losses of 2 + (octaves from the optimum)² / 10, and of a seed's own level; above 2⁻³ training diverges."""

    def run(
        self, spec: Mapping[str, Any], width: int, rates: Sequence[float], seeds: Sequence[int]
    ) -> list[dict[str, Any]]:
        return [self._trial(spec["optimum"], width, rate, seed).to_dict() for rate in rates for seed in seeds]

    def _trial(self, optimum: float, width: int, rate: float, seed: int) -> Trial:
        octaves, diverges = math.log2(rate) - optimum, rate > 2**-3
        return Trial(
            width=width,
            learning_rate=rate,
            seed=seed,
            status=TrialStatus.DIVERGED if diverges else TrialStatus.COMPLETED,
            loss=None if diverges else 2 + octaves**2 / 10 + seed / 100,
            seconds=1.0,
            steps=200,
            flops=1.0,
        )


@pytest.fixture
def bank(tmp_path: Path) -> KnownBank:
    return KnownBank(tmp_path)


def test_the_drift_and_what_a_transfer_loses_are_those_of_the_losses(bank: KnownBank) -> None:
    optima = optima_over(bank, PLACES, SEEDS, -5.0)
    assert [found.log2_learning_rate for found in optima.values()] == pytest.approx([-6, -6.5, -7])
    lost = excesses(bank, PLACES, optima, SEEDS)
    assert [each.mean for each in lost.values()] == pytest.approx([0, 0.025, 0.1], abs=1e-9)
    assert all(each.half == pytest.approx(0, abs=1e-9) for each in lost.values())
    row = row_of("none", optima, lost)
    assert row["slope"] == pytest.approx(-0.5)
    assert "| none | +0.000 ± 0.000, 2.010 | +0.025 ± 0.000, 2.010 | +0.100 ± 0.000, 2.010 |" in table("batch", [row])


def test_the_factors_of_a_rule_move_the_optima_and_the_transfer(bank: KnownBank) -> None:
    optima, right = optima_over(bank, PLACES, SEEDS, -5.0), {1.0: 1.0, 2.0: 2**-0.5, 4.0: 0.5}
    assert [found.log2_learning_rate for found in in_base_rates(optima, right).values()] == pytest.approx([-6] * 3)
    assert [each.mean for each in excesses(bank, PLACES, optima, SEEDS, right).values()] == pytest.approx([0] * 3)


def test_a_learning_rate_that_diverges_has_no_loss_to_compare(bank: KnownBank) -> None:
    lost = gap(bank, (PLACES[0], 0.5), (PLACES[0], 2**-6), SEEDS)
    assert math.isnan(lost.mean)
    assert str(lost) == "diverged"
    assert str(Excess(0.0125, math.nan)) == "+0.013"


def test_a_factor_is_that_of_the_librarys_rule() -> None:
    same = (256, 256)
    assert rule_factor({"tokens": {"exponent": 0.5}}, batch_tokens=same, tokens=(100, 400)) == pytest.approx(0.5)
    assert rule_factor({"batch": "half_life"}, batch_tokens=(32, 128), tokens=same) == pytest.approx(2)


@pytest.mark.parametrize("scale", [20.0, 100.0, 5000.0])
def test_the_noise_scale_of_the_surge_form_is_found_again(scale: float) -> None:
    optima: dict[float, Optimum] = {}
    for batch in (32.0, 128.0, 512.0):
        log2 = -math.log2(math.sqrt(scale / batch) + math.sqrt(batch / scale))
        optima[batch] = Optimum(2**log2, log2, "interior", 2.0, 0.5, standard_error=0.1)
    assert noise_scale(optima) == pytest.approx(scale, rel=0.02)
