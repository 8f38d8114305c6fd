"""From trial records to exponents."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_calibration, fit_optima, surfaces_by_width
from tests.unit.estimate.measured import records, specification
from tests.unit.estimate.synthetic import SPEC, parabola, sweep, trial
from widthwise import theoretical_exponents
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate import CalibrationResult


def codes(result: CalibrationResult) -> set[str]:
    return {code for code, _ in result.warnings}


def grid_trials(width: int, optimum: float, *, seeds: int = 3) -> list[dict[str, Any]]:
    """A noiseless sweep from 2^−12 to 2^−4."""
    x = np.arange(-12, -3.9, 0.5)
    return [trial(width, float(2.0**r), s, float(parabola(r, optimum))) for r in x for s in range(seeds)]


def exact(*optima: float, first_width: int = 64, seeds: int = 3) -> list[dict[str, Any]]:
    """Noiseless sweeps at doubling widths with these log2 optima."""
    return [t for k, optimum in enumerate(optima) for t in grid_trials(first_width * 2**k, optimum, seeds=seeds)]


@pytest.mark.parametrize("slope", [0.0, -0.4, 0.25])
def test_the_drift_is_minus_the_slope_of_the_optimum(slope: float) -> None:
    result = fit_calibration(SPEC, exact(*(-8 + slope * k for k in range(4))))
    assert result.drift.value == pytest.approx(-slope, abs=1e-4)  # the prior takes 1e-5 of exact data
    assert result.drift.degrees_of_freedom == 2
    assert ("drift" in codes(result)) == (slope != 0)


@pytest.mark.parametrize(
    ("parameterization", "optimizer", "alignment"),
    [
        ("standard", "adam", "full"),
        ("mup", "sgd", "none"),
        ("ntk", "adafactor", {r: {"alpha": 0.75, "omega": 0.5, "u": 1.0} for r in ("hidden", "readout")}),
    ],
)
def test_exponents_are_theory_plus_drift(parameterization: str, optimizer: str, alignment: Any) -> None:
    spec = SPEC | {"parameterization": parameterization, "optimizer": optimizer, "alignment": alignment}
    theory = theoretical_exponents(parameterization, optimizer, alignment, readout_omega=0.5)
    result = fit_calibration(spec, exact(-8, -8.3, -8.6, -8.9))
    assert [e.role for e in result.exponents] == ["embedding", "hidden", "readout", "vector"]
    for exponent in result.exponents:
        c = float(theory[exponent.role].c)  # type: ignore[index]
        assert exponent.theory == c
        assert exponent.value == pytest.approx(c + 0.3, abs=1e-4)
        assert exponent.standard_error == result.drift.standard_error
        assert exponent.widths == (64, 128, 256, 512)
        assert exponent.interval is not None
        assert result.drift.interval is not None
        assert exponent.interval == pytest.approx([c + end for end in result.drift.interval])
        assert exponent.interval[0] < exponent.value < exponent.interval[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_trials_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = sweep(rng)
    shuffled = [trials[i] for i in rng.permutation(len(trials))]
    assert fit_calibration(SPEC, shuffled).to_dict() == fit_calibration(SPEC, trials).to_dict()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-20, 20))
def test_scaling_all_learning_rates_leaves_the_drift(seed: int, octaves: int) -> None:
    trials = sweep(np.random.default_rng(seed))
    scaled = [t | {"learning_rate": t["learning_rate"] * 2.0**octaves} for t in trials]
    here, there = fit_calibration(SPEC, trials), fit_calibration(SPEC, scaled)
    assert there.drift.value == pytest.approx(here.drift.value, abs=1e-9)
    for before, after in zip(here.optima, there.optima, strict=True):
        assert before.optimum is not None
        assert after.optimum is not None
        assert after.optimum.learning_rate == pytest.approx(before.optimum.learning_rate * 2.0**octaves)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_the_result_is_valid_json_whatever_fails(seed: int, lost: float) -> None:
    rng = np.random.default_rng(seed)
    trials = [
        t if rng.random() > lost else t | {"status": rng.choice(["diverged", "failed", "stopped"]), "loss": None}
        for t in sweep(rng)
    ]
    try:
        result = fit_calibration(SPEC, trials).to_dict()
    except EstimateError:
        return
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_shape_of_the_result() -> None:
    result = fit_calibration(SPEC, sweep(np.random.default_rng(0))).to_dict()
    assert set(result) == {"optima", "drift", "raw_slope", "candidates", "predictions", "exponents", "warnings"}
    assert set(result["raw_slope"]) == set(result["drift"])
    assert set(result["drift"]) == {"value", "standard_error", "interval", "degrees_of_freedom"}
    assert (
        result["optima"][0] | {"completed": 75, "diverged": 0, "kind": "interior", "width": 64} == result["optima"][0]
    )
    assert {"learning_rate", "interval", "standard_error_log2", "loss"} < set(result["optima"][0])
    assert set(result["exponents"][0]) == {
        "quantity", "role", "value", "standard_error", "interval", "degrees_of_freedom", "theory", "widths",
    }  # fmt: skip
    assert all(set(w) == {"code", "message"} for w in result["warnings"])


def test_a_diverged_trial_never_wins() -> None:
    trials = exact(-8, -8, -8)
    best = min((t for t in trials if t["width"] == 128), key=lambda t: abs(math.log2(t["learning_rate"]) + 6))
    best.update(status="diverged", loss=None)
    trials = [t | {"loss": -50.0} if t["learning_rate"] == best["learning_rate"] and t["loss"] else t for t in trials]
    found = next(entry for entry in fit_optima(trials) if entry.width == 128)
    assert found.optimum is not None
    assert found.optimum.loss > 0


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, None])
def test_a_completed_trial_without_a_finite_loss_stops_at_the_door(loss: float | None) -> None:
    trials = exact(-8, -8, -8)
    trials[5] = trials[5] | {"loss": loss}
    with pytest.raises(InvalidInputError, match=r"trials\.5\.loss"):
        fit_calibration(SPEC, trials)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": "wide"},
        {"learning_rate": -1e-3},
        {"learning_rate": math.nan},
        {"status": "happy"},
        {"seed": None},
    ],
)
def test_malformed_trials_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"trials\.0\."):
        fit_calibration(SPEC, [trial(64, 1e-3, 0, 2.0) | change])


def test_a_trial_given_twice_counts_once_and_a_contradiction_is_refused() -> None:
    trials = exact(-8, -8.2, -8.4)
    assert fit_calibration(SPEC, trials + trials).to_dict() == fit_calibration(SPEC, trials).to_dict()
    with pytest.raises(InvalidInputError, match="two outcomes"):
        fit_calibration(SPEC, [*trials, trials[0] | {"loss": 9.0}])


def test_bounds_stay_out_of_the_fit_and_are_reported() -> None:
    result = fit_calibration(SPEC, exact(-9.0, -8.0, -6.0 + 1, -3.0))
    assert result.exponents[0].widths == (64, 128, 256)
    assert [entry["kind"] for entry in result.to_dict()["optima"]] == ["interior"] * 3 + ["lower_bound"]
    assert "optimum_at_grid_edge" in codes(result)
    assert "bound_inconsistent" not in codes(result)


@pytest.mark.parametrize(
    ("optima", "wrong"),
    [((-8, -8, -8, -3), True), ((-8, -8, -8, -14), True), ((-9, -7, -5, -3), False), ((-8, -9.5, -11, -14), False)],
)
def test_a_bound_that_contradicts_the_fit_is_reported(optima: tuple[float, ...], wrong: bool) -> None:
    found = codes(fit_calibration(SPEC, exact(*optima)))
    assert "optimum_at_grid_edge" in found
    assert ("bound_inconsistent" in found) == wrong


def test_two_widths_give_no_interval_and_say_so() -> None:
    result = fit_calibration(SPEC, exact(-8, -8.5))
    assert result.drift.interval is None
    assert all(e.interval is None and e.degrees_of_freedom == 0 for e in result.exponents)
    assert "zero_degrees_of_freedom" in codes(result)
    assert "width_without_trials" in codes(result)


def test_too_few_interior_optima_leave_the_bounds_and_no_exponent() -> None:
    result = fit_calibration(SPEC, exact(-8, -14, -2))
    assert [entry.optimum.kind for entry in result.optima] == ["interior", "upper_bound", "lower_bound"]
    assert result.drift is None
    assert result.exponents == ()
    assert {"no_exponent", "optimum_at_grid_edge"} <= codes(result)
    assert result.to_dict()["drift"] is result.to_dict()["raw_slope"] is None
    messages = " ".join(warning.message for warning in result.warnings)
    assert "Width 128 is left out of the fit: the best learning rate is the smallest tried" in messages
    assert "1 of 3 widths" in messages


def test_no_trials_at_all_is_an_estimate_error() -> None:
    with pytest.raises(EstimateError, match="no width has an optimum"):
        fit_calibration(SPEC, [])


def test_a_measured_readout_alignment_holds_unless_a_number_replaces_it() -> None:
    trials = exact(-8, -8, -8)
    sides = {"hidden": {"alpha": 1.0, "omega": 0.5, "u": 1.0}, "readout": {"alpha": 1.0, "omega": 1.0, "u": 1.0}}
    spec = {**SPEC, "parameterization": "standard", "alignment": sides}
    theory = {
        omega: {e.role: e.theory for e in fit_calibration({**spec, "readout_omega": omega}, trials).exponents}
        for omega in (None, 0.5)
    }
    assert theory[None]["hidden"] == 1.5
    assert theory[0.5]["hidden"] == 1.0  # a number replaces it, as in a transfer


def test_a_width_that_only_diverged_stays_out_with_its_reason() -> None:
    trials = [t | {"status": "diverged", "loss": None} if t["width"] == 512 else t for t in exact(-8, -8, -8, -8)]
    result = fit_calibration(SPEC, trials)
    assert [entry.width for entry in result.optima] == [64, 128, 256]
    assert "no_optimum" in codes(result)


def test_an_optimum_next_to_divergence_counts_and_is_reported() -> None:
    trials = [
        t | {"status": "diverged", "loss": None} if t["width"] == 256 and t["learning_rate"] > 2**-8.2 else t
        for t in exact(-8, -8, -8, -8)
    ]
    result = fit_calibration(SPEC, trials)
    assert result.exponents[0].widths == (64, 128, 256, 512)
    assert "next_to_divergence" in codes(result)
    # It lies half an octave off, but its error is 30 times that of the others: the drift hardly moves.
    assert abs(result.drift.value) < 0.01


def test_the_reasons_for_doubt() -> None:
    small = fit_calibration(SPEC, exact(-8, -8, -8, seeds=2))
    assert {"small_widths", "few_seeds"} <= codes(small)
    large = fit_calibration({**SPEC, "widths": [512, 1024, 2048]}, exact(-8, -8, -8, first_width=512))
    assert codes(large) == set()
    crooked = fit_calibration(SPEC, exact(-8, -9, -7.5, -8.6))
    assert "lack_of_fit" in codes(crooked)
    lost = exact(-8, -8, -8)
    lost[40] = lost[40] | {"status": "failed", "loss": None}
    assert "missing_trials" in codes(fit_calibration(SPEC, lost))


def test_a_surface_tells_divergences_from_gaps() -> None:
    surface = surfaces_by_width(
        [trial(64, 1e-3, 0, 2.0), trial(64, 1e-3, 1, None), trial(64, 2e-3, 0, None, "failed")]
    )[64]
    assert (surface.completed_count, surface.diverged_count, surface.gap_count) == (1, 1, 2)


def test_a_stopped_trial_is_evidence_and_no_gap() -> None:
    surface = surfaces_by_width([trial(64, 1e-3, 0, 2.0), trial(64, 2e-3, 0, None, "stopped")])[64]
    assert (surface.completed_count, surface.stopped_count, surface.gap_count) == (1, 1, 0)


def test_trials_of_other_sweeps_enter_no_surface() -> None:
    trials = exact(-8, -8.3, -8.6)
    others = [
        trials[0] | {"role": "hidden", "gamma": 2.0, "loss": -50.0},
        trials[1] | {"horizon": 400, "loss": -50.0},
    ]
    assert fit_calibration(SPEC, trials + others).to_dict() == fit_calibration(SPEC, trials).to_dict()


@pytest.mark.parametrize(
    ("widths", "seeds", "noise"),
    [
        ((64, 128, 256, 512), 2, 0.01),  # two seeds, four widths: a quick calibration
        ((64, 91, 128, 181, 256, 362, 512, 724), 1, 0.01),  # one seed: weights from two degrees of freedom each
    ],
)
def test_the_interval_of_the_drift_covers_and_the_drift_is_unbiased(
    widths: tuple[int, ...], seeds: int, noise: float
) -> None:
    """The interval allows for a scatter that these optima don't have, so it covers more than 95 %."""
    slope, drifts, covered, lengths = -0.4, [], [], []
    for draw in range(400):
        rng = np.random.default_rng(draw)
        result = fit_calibration(SPEC, sweep(rng, widths=widths, seeds=seeds, slope=slope, noise=noise))
        assert result.drift.interval is not None
        drifts.append(result.drift.value)
        covered.append(result.drift.interval[0] <= -slope <= result.drift.interval[1])
        lengths.append(result.drift.interval[1] - result.drift.interval[0])
    assert np.mean(covered) >= 0.90
    assert np.mean(lengths) < 0.25
    assert abs(np.mean(drifts) + slope) < 4 * np.std(drifts) / math.sqrt(len(drifts))


def test_a_shift_keeps_theorys_exponents_and_is_reported() -> None:
    """Optima at x∞ − κ·64/n with κ = 1: the widths move by less and less, as no power law does."""
    result = fit_calibration(SPEC, exact(-8, -7.5, -7.25, -7.125))
    found = result.to_dict()
    assert [one["name"] for one in found["candidates"] if one["chosen"]] == ["shift"]
    assert {e.value - e.theory for e in result.exponents if e.theory is not None} == {0.0}
    message = dict(result.warnings)["finite_width_shift"]
    raw = found["raw_slope"]
    assert raw["value"] > 3 * raw["standard_error"] > 0  # the optima rise, though the drift is theory's
    assert "The exponents are theory's, not refuted" in message
    assert f"the optima alone go as width^({raw['value']:+.2f} ± {raw['standard_error']:.2f})" in message
    assert "drift" not in codes(result)
    assert [one["width"] for one in found["predictions"]] == [1024, 2048, 8192]
    for one in found["predictions"]:
        assert one["log2_learning_rate"] == pytest.approx(-7 - 64 / one["width"], abs=0.02)
        low, high = one["interval"]
        assert low < one["learning_rate"] < high
    assert result.predict(2048).log2_learning_rate == found["predictions"][1]["log2_learning_rate"]


def test_shapes_that_the_data_do_not_tell_apart_are_reported() -> None:
    rng = np.random.default_rng(3)
    loud = fit_calibration(SPEC, sweep(rng, widths=(64, 128, 256), slope=0.5, noise=0.05, seeds=2))
    assert "law_uncertain" in codes(loud)
    assert "law_uncertain" not in codes(fit_calibration(SPEC, exact(-8, -8, -8, -8)))


def test_one_global_learning_rate_is_measured_against_the_drift_that_theory_expects_of_it() -> None:
    """Under the standard parameterization a global Adam learning rate has to fall as 1/n: nothing is prescribed."""
    spec = SPEC | {"learning_rate_rule": "global"}
    result = fit_calibration(spec, exact(-6, -7, -8, -9))
    assert result.drift.value == pytest.approx(1.0)
    assert result.candidates is not None
    assert result.candidates.chosen.name == "none"
    assert "drift" not in codes(result)
    assert {(e.value, e.theory) for e in result.exponents} == {(result.drift.value, 1.0)}
    stays = fit_calibration(spec, exact(-8, -8, -8, -8))
    assert stays.drift.value == pytest.approx(0.0, abs=1e-3)
    assert "drift" in codes(stays)


def test_parts_stand_beside_the_learning_rate_and_without_it() -> None:
    spec = specification(parameterization="standard", optimizer="adam", measure=["learning_rate", "epsilon"])
    powers = {name: {"gradient_rms": -0.5, "second_moment_root_typical": -0.5} for name in ("embedding", "first")}
    measured = records("epsilon", {0: powers}, constants={"epsilon": 1e-12, "underflow_share": 0.0})
    both = fit_calibration({**SPEC, **spec}, exact(-8, -8, -8, -8), measured)
    assert {e.quantity for e in both.exponents} == {"learning_rate", "epsilon"}
    assert len({(e.quantity, e.role) for e in both.exponents}) == len(both.exponents)
    assert "needs" in both.to_dict()["epsilon"]
    alone = fit_calibration({**SPEC, **spec, "measure": ["epsilon"]}, (), measured)
    assert {e.quantity for e in alone.exponents} == {"epsilon"}
    assert not codes(alone) & {"no_exponent", "width_without_trials"}
    report = alone.to_dict()
    assert (report["optima"], report["drift"], report["candidates"], report["predictions"]) == ([], None, [], [])
    with pytest.raises(EstimateError, match="nothing can be predicted"):
        alone.predict(1024)


def test_a_failed_sweep_does_not_take_what_else_was_measured_with_it() -> None:
    spec = {**SPEC, **specification(measure=["learning_rate", "epsilon"])}
    powers = {"first": {"gradient_rms": -0.5, "second_moment_root_typical": -0.5}}
    measured = records("epsilon", {0: powers}, constants={"epsilon": 1e-12, "underflow_share": 0.0})
    result = fit_calibration(spec, [trial(width, 1e-3, 0, None) for width in (64, 128, 256)], measured)
    assert {e.quantity for e in result.exponents} == {"epsilon"}
    assert {"no_optimum", "no_exponent"} <= codes(result)


@pytest.mark.parametrize(("parameterization", "warned"), [("standard", True), ("ntk", True), ("mup", False)])
def test_a_tied_readout_is_warned_of_where_its_logits_start_large(parameterization: str, warned: bool) -> None:
    spec = SPEC | {"parameterization": parameterization, "proxy": {"architecture": "transformer", "tied": True}}
    result = fit_calibration(spec, sweep(np.random.default_rng(0)))
    assert ("tied_start" in {code for code, _ in result.warnings}) is warned


def test_a_prediction_does_not_climb_over_a_divergence() -> None:
    """The optimum rises to the edge of divergence; a power law through it would train where nothing does."""
    trials = [
        trial(width, 2.0**x, seed, None if x > edge else 2.0 + 0.06 * (x - optimum) ** 2)
        for width, optimum, edge in ((16, -6.0, -3.0), (32, -5.5, -3.0), (64, -5.0, -5.0))
        for x in np.arange(-9, -2, 0.5).tolist()
        for seed in (0, 1)
    ]
    result = fit_calibration(SPEC | {"widths": [16, 32, 64]}, trials)
    assert result.candidates is not None
    assert result.candidates.predict(256).log2_learning_rate > -4.7
    found = result.predict(256)
    assert found.log2_learning_rate == pytest.approx(-5.0, abs=0.1)
    assert found.interval is not None
    assert found.interval[0] <= found.log2_learning_rate <= found.interval[1]
    assert result.predict(32) == result.candidates.predict(32)
