"""What a result shows: every part that is there, and nothing of those that are not."""

from typing import Any

import pytest

from widthwise.cli.results import show_result

OPTIMUM = {"learning_rate": 0.01, "interval": [0.008, 0.0125], "kind": "interior", "loss": 2.5}
COUNTS = {"completed": 9, "stopped": 2, "diverged": 1}
SLOPE = {"value": 0.02, "standard_error": 0.01, "interval": [-0.05, 0.09], "degrees_of_freedom": 2}
RESULT: dict[str, Any] = {
    "optima": [
        {"width": 64, **OPTIMUM, **COUNTS},
        {"width": 128, **OPTIMUM, **COUNTS, "kind": "lower_bound", "bound": 0.005, "interval": None},
        {"width": 256, **OPTIMUM, **COUNTS, "kind": "upper_bound", "bound": 0.02, "interval": None},
        {"width": 512, **OPTIMUM, **COUNTS, "kind": "upper_bound", "interval": None},
    ],
    "drift": None,
    "exponents": [],
    "warnings": [{"code": "upper_edge", "message": "a width's optimum is a bound"}],
}


def shown(capsys: pytest.CaptureFixture[str], measure: list[str] | None = None, **parts: Any) -> list[str]:
    """The lines on stdout, with single spaces."""
    spec = {"measure": measure or ["learning_rate"]}
    calibration: Any = {"id": "cal_1", "spec": spec, "result": {**RESULT, **parts}}
    show_result(calibration)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_bounds_and_trials_by_how_they_ended(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys)
    assert "64 0.01 0.008 to 0.0125 2.5000 12 2 1" in lines
    assert "128 > 0.005 – 2.5000 12 2 1" in lines
    assert "256 < 0.02 – 2.5000 12 2 1" in lines
    assert "512 edge, 0.01 – 2.5000 12 2 1" in lines  # stored before results had bounds
    assert "No drift and no exponents: these need an optimum inside the grid at two or more widths." in lines
    assert not any(word in line for line in lines for word in ("γ", "Gradients", "Coordinate", "horizon"))


def test_why_an_information_search_ended(capsys: pytest.CaptureFixture[str]) -> None:
    ended = {"ended_by": "budget", "target_width": 2048, "half_width": 0.5, "precision": 0.1, "flops": 2e12}
    lines = shown(capsys, search={**ended, "budget": 3e12})
    told = "The search ended (no further run that helps is within the budget)"
    assert f"{told}: ± 0.50 octaves at width 2048, after 2.00e+12 floating-point operations." in lines


def test_candidates_and_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    power = {"name": "power", "chosen": True, "out_of_sample_error": 0.04, "weight": 0.9, "degrees_of_freedom": 1}
    none = {"name": "none", "chosen": False, "out_of_sample_error": None, "weight": None, "degrees_of_freedom": 2}
    expected = {"width": 512, "learning_rate": 0.0042, "interval": None}
    lines = shown(
        capsys,
        drift=SLOPE,
        candidates=[{**power, "parameters": {"drift": 0.25}}, none],
        predictions=[expected, {**expected, "width": 1024, "ceiling": 0.0042}],
    )
    assert "power chosen 0.040 0.90 1 drift 0.250" in lines
    assert "none – – 2" in lines
    assert any(line.startswith("Weight: a candidate's share of the intervals.") for line in lines)
    assert "Expected at width 512: 0.0042, 95 % interval –" in lines
    assert "Expected at width 1024: 0.0042, 95 % interval –, held below a divergence" in lines


@pytest.mark.parametrize("name", ["none", "shift"])
def test_a_law_with_theorys_drift_is_called_not_refuted(capsys: pytest.CaptureFixture[str], name: str) -> None:
    law = {"name": name, "chosen": True, "out_of_sample_error": 0.04, "weight": 0.9, "degrees_of_freedom": 1}
    raw = {"value": -0.371, "standard_error": 0.05, "interval": None, "degrees_of_freedom": 2}
    line = "Theory, not refuted: the optima alone go as width^(−0.371 ± 0.050)."
    assert line in shown(capsys, drift=SLOPE, candidates=[law], raw_slope=raw)
    assert line not in shown(capsys, drift=SLOPE, candidates=[{**law, "name": "power"}], raw_slope=raw)
    assert line not in shown(capsys, drift=SLOPE, candidates=[law])  # stored before results had it


def test_every_other_part(capsys: pytest.CaptureFixture[str]) -> None:
    need = {"role": "hidden", "width": 64, "gradient_rms": 1e-6, "largest_epsilon": 1e-9, "underflow_share": 0.25}
    layer = {"layer": "block 0", "size": "output", "step": 0, "slope": SLOPE, "expected": 0.0, "outcome": "pass"}
    lines = shown(
        capsys,
        gamma={"optima": [{**OPTIMUM, "role": "hidden", "width": 64, "gamma": 2.0, "interval": [1.5, 2.5]}]},
        epsilon={"needs": [{**need, "epsilon": 1e-12}, {**need, "role": "readout", "epsilon": None}]},
        coordinates={
            "outcome": "pass",
            "reasons": ["every size keeps to its slope"],
            "notes": ["a transient is harmless"],
            "judgements": [layer, {**layer, "size": "output_change", "step": None, "outcome": "inconclusive"}],
        },
        horizon={
            "optima": [{**OPTIMUM, "steps": 100, "tokens": 25600}],
            "exponent": {"value": 0.3, "interval": [0.2, 0.4]},
        },
    )
    assert "hidden 64 2 1.5 to 2.5" in lines
    assert "hidden 64 1e-06 1e-09 1e-12 25.0%" in lines
    assert "readout 64 1e-06 1e-09 – 25.0%" in lines
    assert "Coordinate check: pass" in lines
    assert "every size keeps to its slope" in lines
    assert "block 0 output 0 0.020 −0.050 to 0.090 0.000 pass" in lines
    assert "block 0 output change all 0.020 −0.050 to 0.090 0.000 inconclusive" in lines
    assert "100 25600 0.01 0.008 to 0.0125 2.5000" in lines
    assert "The best learning rate goes as tokens^(−h) with h = 0.300, 95 % interval 0.200 to 0.400." in lines


def test_every_exponent_is_said_to_go_as_its_own_power(capsys: pytest.CaptureFixture[str]) -> None:
    row = {**SLOPE, "role": "hidden", "theory": None, "widths": [64, 128]}
    stored = ("omega", "learning_rate", "learning_rate_over_tokens", "epsilon", "of_a_newer_service")
    lines = shown(capsys, exponents=[{**row, "quantity": quantity} for quantity in stored])
    assert (
        "Measured exponents (learning rate, epsilon ∝ width^(−exponent); learning rate over tokens ∝ "
        "tokens^(−exponent); omega ∝ width^exponent)"
    ) in " ".join(lines)
    assert "of a newer service hidden 0.020 −0.050 to 0.090 – 64,128" in lines


def test_without_a_sweep_there_is_no_table_of_optima(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, ["coordinates"], optima=[], coordinates={"outcome": "fail", "judgements": []})
    assert "Coordinate check: fail" in lines
    assert not any("base learning rate" in line for line in lines)
