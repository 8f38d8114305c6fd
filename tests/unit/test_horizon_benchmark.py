"""The page of horizons: what branches and runs apart took, and how far apart their optima are."""

import math

import pytest

from benchmarks.horizon import APART, BRANCHED, Trained, page
from tests.asjson import fit_horizon
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate.parts.horizon import HorizonResult
from widthwise.vocabulary import TrialStatus

SPEC = CalibrationSpec.from_dict(
    {"parameterization": "standard", "optimizer": "adam", "widths": [32], "measure": ["horizon"], "seeds": 2}
    | {"horizons": [100, 200, 400], "learning_rates": [2.0 ** (k / 2) for k in range(-16, -5)]}
)


def made(shift: float, steps_share: float, seconds: float, runs: int) -> Trained:
    """Trials of parabolas whose optima fall as tokens^−0.3, `shift` octaves from there."""
    trials = tuple(
        Trial(
            32,
            rate,
            seed,
            TrialStatus.COMPLETED,
            2 + 0.03 * (math.log2(rate) + 5 + 0.3 * math.log2(horizon / 100) - shift) ** 2,
            steps=round(steps_share * horizon),
            flops=1e6 * steps_share * horizon,
            horizon=horizon,
        )
        for horizon in SPEC.horizons
        for rate in SPEC.learning_rates
        for seed in range(SPEC.seeds)
    )
    result = fit_horizon(SPEC.to_dict(), [trial.to_dict() for trial in trials])
    assert isinstance(result, HorizonResult)
    return Trained(trials, runs, seconds, result)


def test_the_page_says_what_branching_saves() -> None:
    trained = {BRANCHED: made(0.0, 0.5, 10.0, 22), APART: made(0.1, 1.0, 25.0, 66)}
    text = "\n".join(page(SPEC, {32: trained[BRANCHED].result}, trained))
    assert trained[APART].steps == 2 * 11 * 700
    assert "| branched from one run | 22 | 7,700 | 7.7e+09 | 10 |" in text
    assert "| a run for each horizon | 66 | 15,400 | 1.5e+10 | 25 |" in text
    assert "take 2.00 times the steps, 2.00 times the operations and 2.50 times the seconds" in text
    assert "0.10 octaves (root mean square) from the branches', -0.10 on average" in text
    law = trained[BRANCHED].result.law
    assert law is not None
    assert law.value == pytest.approx(0.3, abs=0.02)
    assert text.count("| 0.30 |") == 3  # the width's own, both, and that of runs apart
