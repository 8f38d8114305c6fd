"""The fit of a calibration's trials so far: as its result has it, and what pictures need besides."""

import math
import re
from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_calibration
from tests.unit.estimate.synthetic import SPEC, parabola, sweep, trial
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate.choice import NAMES
from widthwise.estimate.so_far import OF_RESULT, fit_so_far

RATES = [2.0**r for r in range(-12, -3)]


def fitted(trials: list[dict[str, Any]], *, complete: bool = True, **changes: Any) -> dict[str, Any]:
    spec = CalibrationSpec.from_dict({**SPEC, "learning_rates": RATES, **changes})
    return fit_so_far(spec, [Trial.from_dict(each) for each in trials]).to_dict(complete=complete)


def at(widths: dict[int, float], noise: float = 0.001) -> list[dict[str, Any]]:
    """Sweeps whose optimum lies at the log2 learning rate given for each width."""
    rng = np.random.default_rng(0)
    return [
        trial(width, 2.0**r, seed, float(parabola(r, optimum) + rng.normal(0, noise)))
        for width, optimum in widths.items()
        for r in np.arange(-12, -3, 0.5).tolist()
        for seed in (0, 1, 2)
    ]


def test_it_says_what_the_result_says() -> None:
    trials = sweep(np.random.default_rng(0), slope=-0.3)
    found, result = fitted(trials), fit_calibration(SPEC, trials).to_dict()
    assert {name: found[name] for name in (*OF_RESULT, "predictions")} == {
        name: result[name] for name in (*OF_RESULT, "predictions")
    }
    assert result["predictions"]


@pytest.mark.parametrize(
    ("optima", "law", "sentence"),
    [
        ({64: -6.0, 128: -7.0, 256: -8.0, 512: -9.0}, "power", r"Chosen: power of width, as widths left out .*"),
        ({64: -8.0, 128: -8.02, 256: -7.99}, "none", r"Chosen: theory, no shift, not refuted, as .* than noise\).*"),
        ({64: -9.0, 128: -8.0, 256: -7.5, 512: -7.25}, "shift", r".*1/width, with theory's exponent, not refuted.*"),
        ({64: -8.0, 128: -8.01}, "none", r".*, not refuted, as the two optima differ by no more than twice .*"),
        ({64: -8.0, 128: -9.0}, "power", r".*, as the two optima differ by more than twice the error .*"),
    ],
)
def test_the_choice_is_said_with_its_reason_and_the_raw_slope(
    optima: dict[int, float], law: str, sentence: str
) -> None:
    choice, raw = (found := fitted(at(optima)))["choice"], found["raw_slope"]
    assert (choice["law"], choice["standing"]) == (law, "measured" if law == "power" else "not_refuted")
    assert choice["sentence"].endswith(f"go as width^({raw['value']:+.2f} ± {raw['standard_error']:.2f})")
    assert re.fullmatch(sentence, choice["sentence"])
    chosen = [line for line in found["lines"] if line["chosen"]]
    assert [(line["law"], line["name"]) for line in chosen] == [(law, NAMES[chosen[0]["law"]])]


def test_one_optimum_tests_nothing() -> None:
    choice = fitted(at({64: -8.0}))["choice"]
    assert (choice["law"], choice["standing"]) == ("none", "untested")
    assert choice["sentence"] == "1 of 1 widths have an optimum inside their grid: theory's law, untested"


def test_lines_and_band_agree_with_the_predictions() -> None:
    found = fitted(at({64: -6.0, 128: -7.0, 256: -8.0, 512: -9.0}))
    (line,) = (each["points"] for each in found["lines"] if each["chosen"])
    for prediction in found["predictions"]:
        x = math.log2(prediction["width"])
        rates = np.interp(x, [math.log2(p["width"]) for p in line], [math.log2(p["learning_rate"]) for p in line])
        assert math.isclose(rates, prediction["log2_learning_rate"], abs_tol=0.01)
        for end, name in zip(prediction["interval"], ("low", "high"), strict=True):
            rim = np.interp(x, *zip(*((math.log2(p["width"]), math.log2(p[name])) for p in found["band"]), strict=True))
            assert math.isclose(rim, math.log2(end), abs_tol=0.05)


def test_each_width_has_its_means_its_parabola_and_the_rate_that_the_law_expects() -> None:
    found = fitted(at({64: -8.0, 128: -8.0, 256: -8.0}, noise=0.0))
    for each in found["widths"]:
        assert {mean["learning_rate"]: mean["loss"] for mean in each["means"]}[2.0**-8] == pytest.approx(2.0)
        assert each["parabola"]["log2_learning_rate"] == pytest.approx(-8.0)
        assert each["law_learning_rate"] == pytest.approx(2.0**-8)
        assert (each["edge"], each["completed"]) == (None, 54)


def test_an_edge_of_runs_that_are_not_all_there_is_provisional() -> None:
    falling = [trial(64, rate, seed, 3.0 - 0.1 * k) for k, rate in enumerate(RATES[:5]) for seed in (0, 1)]
    (running,) = fitted(falling, complete=False)["widths"]
    assert running["edge"] == "provisional"
    assert "no larger one has run" in running["remark"]
    (ended,) = fitted(falling)["widths"]
    assert ended["edge"] == "final"
    assert "add larger ones" in ended["remark"]


def test_a_failed_run_is_no_edge() -> None:
    trials = [trial(64, rate, 0, float(parabola(math.log2(rate), -8.0))) for rate in RATES]
    with_failed = [*trials, trial(64, 2.0**-13, 0, None, "failed"), trial(64, 2.0**-3, 0, None, "failed")]
    assert fitted(with_failed)["optima"] == fitted(trials)["optima"]
    lone = [trial(64, 2.0**-8, 0, 2.0), trial(64, 2.0**-7, 0, None, "failed"), trial(64, 2.0**-9, 0, None, "failed")]
    assert fitted(lone)["optima"] == []


def test_nothing_to_fit_is_said() -> None:
    for trials in ([], [trial(64, 2.0**-8, 0, None), trial(64, 2.0**-7, 0, None)]):
        found = fitted(trials)
        assert found["choice"]["sentence"] == "No width has an optimum yet"
        assert (found["lines"], found["band"], found["predictions"], found["optima"]) == ([], [], [], [])
    assert "diverging" in found["widths"][0]["remark"]


def test_a_finite_loss_of_a_diverged_run_is_named() -> None:
    trials = [trial(64, 2.0**r, 0, float(parabola(r, -10.0))) for r in range(-13, -6)] + [trial(64, 2.0**-6, 0, 11.0)]
    (width,) = fitted(trials)["widths"]
    assert width["taken_as_diverged"] == [{"learning_rate": 2.0**-6, "seed": 0}]
