"""The exponent over tokens: recovered from synthetic horizons, honest about what can't be known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_horizon
from tests.unit.estimate.synthetic import SPEC, parabola, trial
from widthwise.errors import InvalidInputError
from widthwise.estimate import fit_power_law
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.parts.horizon import HorizonResult
from widthwise.estimate.scatter import OMEGA_G, PRIOR_G
from widthwise.vocabulary import ExponentQuantity, ExponentRole

HORIZONS = (100, 200, 400, 800)
PROXY = {"architecture": "transformer", "sequence_length": 64, "batch_size": 32}
ASKED = {**SPEC, "measure": ["learning_rate", "horizon"], "horizons": list(HORIZONS), "proxy": PROXY}


def branches(
    rng: np.random.Generator,
    *,
    exponent: float = 0.32,
    horizons: tuple[int, ...] = HORIZONS,
    width: int = 64,
    level: float = -8.0,
    seeds: int = 3,
    noise: float = 0.003,
    octaves: float = 4.0,
    scatter: float = 0.0,
) -> list[dict[str, Any]]:
    """Trials whose best learning rate goes as tokens^(−exponent) from 2^level at 100 steps.

    The optimum of a horizon misses that law by `scatter` octaves, a standard deviation. A seed's noise is half its own
    and half common to its horizons, as branches of one run have it.
    """
    log2_rates = level + np.arange(-octaves, octaves + 0.25, 0.5) + rng.uniform(-0.25, 0.25)
    common = rng.standard_normal((log2_rates.size, seeds))
    trials = []
    for horizon in horizons:
        best = level - exponent * np.log2(horizon / 100) + (rng.normal(0, scatter) if scatter else 0.0)
        mean = parabola(log2_rates, best, floor=2 + 10 / horizon)
        losses = mean[:, None] + noise * (rng.standard_normal(common.shape) + common) / np.sqrt(2)
        for i, log2_rate in enumerate(log2_rates):
            for seed in range(seeds):
                record = trial(width, float(2.0**log2_rate), seed, float(losses[i, seed]))
                trials.append({**record, "role": None, "gamma": 1.0, "horizon": horizon})
    return trials


def fitted(trials: list[dict[str, Any]], **spec: Any) -> HorizonResult:
    result = fit_horizon({**ASKED, **spec}, trials)
    assert result is not None
    json.dumps(result.to_dict(), allow_nan=False)
    return result


def codes(result: HorizonResult) -> list[str]:
    return [caution.code for caution in result.warnings]


@pytest.mark.parametrize("exponent", [0.0, 0.15, 0.32, 0.5])
def test_a_known_exponent_is_recovered(exponent: float) -> None:
    result = fitted(branches(np.random.default_rng(0), exponent=exponent))
    (estimate,) = result.exponents
    assert estimate.value == pytest.approx(exponent, abs=0.05)
    assert estimate.interval is not None
    assert abs(estimate.value - exponent) < 4 * estimate.standard_error  # whether it covers is the next test's to say
    assert (estimate.quantity, estimate.role, estimate.theory) == (
        ExponentQuantity.LEARNING_RATE_OVER_TOKENS,
        ExponentRole.ALL,
        None,
    )
    assert (estimate.degrees_of_freedom, estimate.widths) == (2, (64,))
    assert codes(result) == []


def test_the_interval_covers_the_truth_in_nineteen_draws_of_twenty() -> None:
    """As often without scatter as with that of public sweeps; the power law, which knows of none, in half of these."""
    covered, plain = [], []
    for k in range(150):
        rng = np.random.default_rng([1, k])
        result = fitted(branches(rng, horizons=(100, 200, 400), scatter=(0.0, 0.1, 0.2)[k % 3]))
        low, high = result.exponents[0].interval or (np.nan, np.nan)
        covered.append(low < 0.32 < high)
        optima = [entry.interior for entry in result.optima if entry.interior is not None]
        law = fit_power_law(
            [entry.tokens for entry in result.optima],
            [each.log2_learning_rate for each in optima],
            [each.standard_error or 0.0 for each in optima],
        )
        low, high = law.interval or (np.nan, np.nan)
        plain.append(low < -0.32 < high)
    by_scatter = np.reshape(covered, (-1, 3)).mean(axis=0)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert by_scatter.min() >= 0.88
    assert np.mean(np.reshape(plain, (-1, 3))[:, 1:]) < 0.7


def test_tokens_count_predicted_positions() -> None:
    optima = fitted(branches(np.random.default_rng(0))).to_dict()["optima"]
    assert [(row["steps"], row["tokens"]) for row in optima] == [(h, h * 32 * 64) for h in HORIZONS]
    mlp = fitted(branches(np.random.default_rng(0)), proxy={**PROXY, "architecture": "mlp"})
    assert mlp.to_dict()["optima"][0]["tokens"] == 100 * 32
    with pytest.raises(InvalidInputError, match="architecture"):
        fitted(branches(np.random.default_rng(0)), proxy={**PROXY, "architecture": "rnn"})


def test_widths_share_the_slope_and_keep_their_levels() -> None:
    rng = np.random.default_rng(3)
    narrow, wide = branches(rng, horizons=(100, 200, 400)), branches(rng, width=128, level=-6.0, horizons=(200, 400))
    result = fitted([*narrow, *wide])
    (estimate,) = result.exponents
    assert estimate.value == pytest.approx(0.32, abs=0.05)
    assert (estimate.degrees_of_freedom, estimate.widths) == (2, (64, 128))  # 5 optima, 2 levels, 1 slope
    single = fitted([*narrow, *branches(rng, width=128, level=-6.0, horizons=(200,))])
    # One horizon of a width says nothing about the slope, and a little about the skew.
    assert single.exponents[0].value == pytest.approx(fitted(narrow).exponents[0].value, abs=1e-3)
    assert single.exponents[0].degrees_of_freedom == 1
    assert "unlike_horizons" not in codes(result)


def test_two_horizons_give_no_interval() -> None:
    result = fitted(branches(np.random.default_rng(0), horizons=(100, 400)), horizons=[100, 400])
    (estimate,) = result.exponents
    assert estimate.interval is None
    assert estimate.value == pytest.approx(0.32, abs=0.1)
    assert codes(result) == ["zero_degrees_of_freedom"]


def test_an_optimum_at_the_edge_is_a_bound_and_stays_out() -> None:
    trials = branches(np.random.default_rng(0))
    lowest = min(record["learning_rate"] for record in trials)
    # the longest horizon was tried above its optimum of 2^−8.96 alone
    kept = [t for t in trials if t["horizon"] != 800 or t["learning_rate"] > 2.0**-8.5]
    result = fitted(kept)
    assert result.to_dict()["optima"][-1]["kind"] == "upper_bound"
    assert result.exponents[0].degrees_of_freedom == 1
    assert codes(result) == ["optimum_at_grid_edge", "unlike_horizons"]
    # with all but one at an edge there is no exponent
    kept = [t for t in trials if t["horizon"] == 100 or t["learning_rate"] == lowest or t["learning_rate"] > 2.0**-7]
    few = fitted([t for t in kept if t["horizon"] == 100 or t["learning_rate"] > lowest])
    assert few.exponents == ()
    assert few.to_dict()["exponent"] is None
    assert codes(few)[-1] == "no_exponent"


def test_optima_that_no_power_law_fits_are_reported() -> None:
    rng = np.random.default_rng(0)
    bent = [t for i, h in enumerate(HORIZONS) for t in branches(rng, horizons=(h,), exponent=(0, 0.9, 0, 0.6)[i])]
    result = fitted(bent)
    assert "lack_of_fit" in codes(result)
    (estimate,) = result.exponents
    assert estimate.standard_error > 3 * fitted(branches(rng)).exponents[0].standard_error


def test_divergence_is_evidence_and_never_wins() -> None:
    trials = branches(np.random.default_rng(0))
    rates = sorted({t["learning_rate"] for t in trials})
    for record in trials:
        if record["learning_rate"] >= rates[-4]:
            record.update(status="diverged", loss=None)
        if record["horizon"] == 800:
            record.update(status="diverged", loss=None)
    result = fitted(trials)
    assert result.exponents[0].value == pytest.approx(0.32, abs=0.08)
    assert codes(result) == ["no_optimum"]
    assert [row["steps"] for row in result.to_dict()["optima"]] == [100, 200, 400]


def test_every_trial_of_a_horizon_is_counted_as_in_any_sweep() -> None:
    trials = branches(np.random.default_rng(0), horizons=(100, 200))
    trials[0] = {**trials[0], "status": "stopped", "loss": None}
    counted = fitted(trials).to_dict()["optima"]
    assert [(each["steps"], each["completed"], each["stopped"], each["diverged"]) for each in counted] == [
        (100, len(trials) // 2 - 1, 1, 0),
        (200, len(trials) // 2, 0, 0),
    ]


def test_missing_horizons_and_trials_are_named() -> None:
    trials = branches(np.random.default_rng(0), horizons=(100, 200, 400))
    trials[3] = {**trials[3], "status": "failed", "loss": None}
    assert codes(fitted(trials)) == ["missing_trials", "horizon_without_trials"]


def test_other_sweeps_are_left_alone() -> None:
    trials = branches(np.random.default_rng(0))
    plain = [{**record, "horizon": None, "loss": 1.0} for record in trials if record["horizon"] == 100]
    assert fitted([*plain, *trials]).to_dict() == fitted(trials).to_dict()
    assert fit_horizon({**ASKED, "measure": ["learning_rate"]}, trials) is None


def test_without_trials_there_is_a_reason() -> None:
    result = fitted([])
    assert result.exponents == ()
    assert codes(result) == ["horizon_without_trials", "no_exponent"]


def test_the_exponent_and_its_misfit_are_those_of_the_normal_equations() -> None:
    """Least squares with a column for each width's level, at every scatter, and χ²/dof about it without any."""
    rng = np.random.default_rng(3)
    result = fitted([*branches(rng), *branches(rng, width=128, level=-6.0, horizons=(200, 400, 800))])
    law, optima = result.law, [entry.interior for entry in result.optima]
    assert law is not None
    y = np.array([each.log2_learning_rate for each in optima if each is not None])
    shared = np.array([each.shared_error for each in optima if each is not None])
    own = [np.sqrt((each.standard_error or 0.0) ** 2 - each.shared_error**2) for each in optima if each is not None]
    own = moderated_errors(own, [each.degrees_of_freedom for each in optima if each is not None])
    variance = own**2 + (shared - shared.mean()) ** 2  # what all share of the skew's error moves levels alone
    x = np.log2([entry.tokens for entry in result.optima])
    wide = np.array([entry.found.width == 128 for entry in result.optima])
    design = np.column_stack([x, wide, ~wide]).astype(float)
    evidence, slopes, variances, misfits = [], [], [], []
    for omega in OMEGA_G:
        weight = 1 / (variance + omega**2)
        covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
        solution = covariance @ design.T @ (weight * y)
        misfits.append(float(weight @ (y - design @ solution) ** 2))
        evidence.append((np.log(weight).sum() + np.linalg.slogdet(covariance)[1] - misfits[-1]) / 2)
        slopes.append(-solution[0])
        variances.append(covariance[0, 0])
    weights = np.exp(evidence) * PRIOR_G
    weights /= weights.sum()
    assert law.value == pytest.approx(weights @ slopes)
    assert law.degrees_of_freedom == 4
    assert law.lack_of_fit == pytest.approx(misfits[0] / (7 - 3))
    assert law.scatter == pytest.approx(weights @ OMEGA_G)
    assert law.standard_error**2 == pytest.approx(weights @ (variances + (slopes - weights @ slopes) ** 2))


def test_two_optima_say_nothing_about_their_scatter() -> None:
    """At two horizons the error is the one stated for the difference of two optima, with the scatter expected."""
    result = fitted(branches(np.random.default_rng(0), horizons=(100, 400)), horizons=[100, 400])
    errors = [entry.interior.own_error for entry in result.optima if entry.interior is not None]
    shared = [entry.interior.shared_error for entry in result.optima if entry.interior is not None]
    dofs = [entry.interior.degrees_of_freedom for entry in result.optima if entry.interior is not None]
    assert result.law is not None
    assert result.law.lack_of_fit is None
    apart = np.hypot(moderated_errors(errors, dofs), (shared[0] - shared[1]) / 2)
    assert result.law.scatter == pytest.approx(PRIOR_G @ OMEGA_G)
    assert result.law.standard_error == pytest.approx(np.sqrt((np.hypot(*apart) ** 2 + 2 * PRIOR_G @ OMEGA_G**2) / 4))


def test_the_last_learning_rate_before_a_divergence_is_said_to_be_rough() -> None:
    trials = branches(np.random.default_rng(0), exponent=0.0)
    above = sorted({t["learning_rate"] for t in trials if t["learning_rate"] > 2.0**-8 * 1.3})
    for record in trials:
        if record["horizon"] == 200 and record["learning_rate"] in above:
            record.update(status="diverged", loss=None)
    result = fitted(trials)
    assert [c.message.split(":")[0] for c in result.warnings if c.code == "next_to_divergence"] == [
        "Horizon 200 at width 64"
    ]


def test_horizons_of_one_width_alone_are_compared_with_each_other() -> None:
    rng = np.random.default_rng(3)
    alike = [*branches(rng), *branches(rng, width=128, level=-6.0, seeds=2)]
    assert "unlike_horizons" not in codes(fitted(alike))
    fewer = [t for t in alike if (t["width"], t["horizon"], t["seed"]) != (128, 400, 1)]
    assert [c.message[:10] for c in fitted(fewer).warnings if c.code == "unlike_horizons"] == ["Width 128:"]


def test_the_published_exponents_are_those_of_the_docs() -> None:
    theory = (Path(__file__).parents[3] / "docs" / "theory.md").read_text(encoding="utf-8")
    assert "published values range from 0.12 to ½" in " ".join(theory.split())
    published = fitted(branches(np.random.default_rng(0))).to_dict()["published"]
    assert all(one["low"] <= one["high"] for one in published)
    assert min(one["low"] for one in published) == 0.12
    assert max(one["high"] for one in published) == 0.5


def test_a_skew_that_the_horizons_share_moves_none_of_their_optima() -> None:
    """The parabola's vertex lies an eighth of an octave below the optimum of eˣ − 1 − x."""
    x = np.arange(-12.0, -4.9, 0.5)
    best = {horizon: -8.0 - 0.3 * k for k, horizon in enumerate(HORIZONS)}
    trials = [
        {**trial(64, float(2.0**rate), seed, 2 + 0.12 * float(np.exp(rate - at) - 1 - (rate - at))), "horizon": horizon}
        for horizon, at in best.items()
        for rate in x
        for seed in range(2)
    ]
    result = fitted([{**record, "role": None, "gamma": 1.0} for record in trials])
    for entry in result.optima:
        assert entry.interior is not None
        assert entry.interior.log2_learning_rate == pytest.approx(best[entry.horizon], abs=0.03)
        assert entry.interior.skew_shift > 0.08
    assert result.law is not None
    assert result.law.value == pytest.approx(0.3, abs=0.01)
