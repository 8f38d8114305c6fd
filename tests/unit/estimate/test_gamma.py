"""The learning rate of each role: recovered from synthetic sweeps over γ, with the errors of both sweeps."""

import json
from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_gamma, fit_optima, gamma_roles, next_gammas
from tests.unit.estimate.synthetic import SPEC, trial
from widthwise.estimate import fit_candidates
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.parts.gamma import GAMMAS, GammaResult, gamma_learning_rate

WIDTHS = (64, 128, 256, 512)
ROLES = ("embedding", "hidden", "readout")
ASKED = {**SPEC, "measure": ["learning_rate", "gamma"]}
LEVELS = {"embedding": 0.6, "hidden": -0.3, "readout": 0.2}  # log2 γ* at the base width
GRID = tuple(-10.0 + 0.5 * k for k in range(9))
THEORY = {"embedding": 0.0, "hidden": 1.0, "readout": 1.0}  # standard, Adam, full alignment


def trials_of(
    rng: np.random.Generator,
    drifts: dict[str, float],
    *,
    gammas: tuple[float, ...] = GAMMAS,
    noise: float = 0.002,
    widths: tuple[int, ...] = WIDTHS,
    seeds: int = 2,
) -> list[dict[str, Any]]:
    """A plain sweep at every width and the γ sweeps at its best learning rate, from one additive surface.

    The best learning rate of a role, over what is prescribed, is 2^(−8 + its level) · (n/64)^(−its drift).
    """
    trials = []
    for width in widths:
        doublings = np.log2(width / widths[0])
        best = {role: -8 + LEVELS[role] - drifts[role] * doublings for role in ROLES}

        def loss(rate: float, role: str | None, gamma: float, best: dict[str, float] = best) -> float:
            at = {each: rate + (np.log2(gamma) if each == role else 0.0) for each in ROLES}
            return float(2 + sum(0.03 * (at[each] - best[each]) ** 2 for each in ROLES) + noise * rng.standard_normal())

        plain = [trial(width, 2.0**rate, seed, loss(rate, None, 1.0)) for rate in GRID for seed in range(seeds)]
        rate = gamma_learning_rate(fit_optima(plain), width)
        assert rate is not None
        swept = [
            {**trial(width, rate, seed, loss(np.log2(rate), role, gamma)), "role": role, "gamma": gamma}
            for role in ROLES
            for gamma in gammas
            for seed in range(seeds)
        ]
        trials += [{**record, "role": None, "gamma": 1.0, "horizon": None} for record in plain]
        trials += [{**record, "horizon": None} for record in swept]
    return trials


def fitted(trials: list[dict[str, Any]], **spec: Any) -> GammaResult:
    result = fit_gamma({**ASKED, **spec}, trials, fit_optima(trials))
    assert result is not None
    json.dumps(result.to_dict(), allow_nan=False)
    return result


def codes(result: GammaResult) -> set[str]:
    return {caution.code for caution in result.warnings}


@pytest.mark.parametrize(
    "drifts",
    [
        {"embedding": 0.0, "hidden": 0.0, "readout": 0.0},
        {"embedding": 0.4, "hidden": 0.0, "readout": -0.3},
        {"embedding": 0.5, "hidden": 0.5, "readout": 0.5},  # all in β: no γ moves
    ],
)
def test_the_exponent_of_each_role_is_recovered(drifts: dict[str, float]) -> None:
    result = fitted(trials_of(np.random.default_rng(0), drifts))
    assert [exponent.role for exponent in result.exponents] == list(ROLES)
    for exponent in result.exponents:
        truth = THEORY[exponent.role] + drifts[exponent.role]
        assert exponent.value == pytest.approx(truth, abs=0.12)
        assert exponent.interval is not None
        assert exponent.interval[0] < truth < exponent.interval[1]
        assert (exponent.quantity, exponent.theory) == ("learning_rate_by_role", THEORY[exponent.role])
        assert (exponent.degrees_of_freedom, exponent.widths) == (2, WIDTHS)
    assert codes(result) == set()


def test_gamma_is_reported_at_the_base_width_relative_to_the_learning_rate_trained_with() -> None:
    trials = trials_of(np.random.default_rng(1), dict.fromkeys(ROLES, 0.0), noise=1e-4)
    report = fitted(trials).to_dict()
    rate = gamma_learning_rate(fit_optima(trials), 64)
    assert rate is not None
    assert report["base"]["width"] == 64
    assert set(report["base"]["gamma"]) == set(ROLES)
    for role, gamma in report["base"]["gamma"].items():
        assert np.log2(rate * gamma) == pytest.approx(-8 + LEVELS[role], abs=0.05)
    assert [row["role"] for row in report["drift"]] == list(ROLES)
    assert len(report["optima"]) == 12


def test_the_error_of_the_base_learning_rate_counts() -> None:
    trials = trials_of(np.random.default_rng(2), dict.fromkeys(ROLES, 0.0))
    optima = fit_optima(trials)
    sharp = fit_gamma(ASKED, trials, optima)
    gaps = [t for t in trials if t["role"] is not None or t["learning_rate"] in {2.0**-9, 2.0**-8, 2.0**-7}]
    assert sharp is not None
    blunt = fit_gamma(ASKED, trials, fit_optima(gaps))
    assert blunt is not None
    for one, other in zip(sharp.exponents, blunt.exponents, strict=True):
        assert one.value == pytest.approx(other.value, abs=0.1)
        assert one.standard_error < other.standard_error


def test_under_one_global_learning_rate_the_exponent_is_the_drift_alone() -> None:
    trials = trials_of(np.random.default_rng(3), {"embedding": 0.0, "hidden": 1.0, "readout": 0.6}, widths=(64, 128))
    result = fitted(trials, learning_rate_rule="global")
    assert [e.value for e in result.exponents] == pytest.approx([0.0, 1.0, 0.6], abs=0.3)
    assert [e.theory for e in result.exponents] == [0.0, 1.0, 1.0]
    assert [e.interval for e in result.exponents] == [None] * 3
    assert "zero_degrees_of_freedom" in codes(result)


def test_the_plain_trial_stands_for_gamma_one_unless_it_was_run_again() -> None:
    trials = trials_of(np.random.default_rng(4), dict.fromkeys(ROLES, 0.0), noise=0.0)
    without = fitted(trials).to_dict()
    again = [
        {**record, "role": "hidden", "gamma": 1.0}
        for record in trials
        if record["role"] is None
        and record["learning_rate"] == gamma_learning_rate(fit_optima(trials), record["width"])
    ]
    assert fitted([*trials, *again]).to_dict() == without
    alone = [t for t in trials if t["role"] is not None]
    optima = fit_optima(trials)
    result = fit_gamma(ASKED, alone, optima)  # no γ = 1 at all: still a sweep
    assert result is not None
    assert {found.optimum.kind for found in result.gammas if found.optimum} == {"interior"}


def test_optima_that_no_power_law_fits_are_reported() -> None:
    rng = np.random.default_rng(8)
    level = dict.fromkeys(ROLES, 0.0)
    trials = trials_of(rng, level)
    shifted = trials_of(rng, level | {"hidden": 0.9})
    bent = [t for t in trials if t["width"] != 128] + [t for t in shifted if t["width"] == 128]
    assert [c.code for c in fitted(bent).warnings if "hidden" in c.message] == ["lack_of_fit"]


def test_a_gamma_at_the_edge_is_a_bound_and_stays_out() -> None:
    drifts = {"embedding": -1.4, "hidden": 0.0, "readout": 0.0}  # γ* of the embedding passes 4 as the width grows
    result = fitted(trials_of(np.random.default_rng(5), drifts))
    edges = [found for found in result.gammas if found.optimum is not None and found.optimum.kind == "lower_bound"]
    assert {found.role.value for found in edges} == {"embedding"}
    assert "optimum_at_grid_edge" in codes(result)
    for exponent in result.exponents:
        if exponent.role == "embedding":
            assert not {found.width for found in edges} & set(exponent.widths)


def test_a_width_whose_learning_rate_is_a_bound_stays_out() -> None:
    trials = trials_of(np.random.default_rng(6), dict.fromkeys(ROLES, 0.0))
    kept = [t for t in trials if t["width"] != 512 or t["role"] is not None or t["learning_rate"] >= 2.0**-7.5]
    result = fitted(kept)
    assert all(exponent.widths == WIDTHS[:3] for exponent in result.exponents)
    assert "optimum_at_grid_edge" in codes(result)


def test_without_two_widths_there_is_no_exponent() -> None:
    result = fitted(trials_of(np.random.default_rng(7), dict.fromkeys(ROLES, 0.0), widths=(64,)))
    assert result.exponents == ()
    assert codes(result) == {"no_exponent"}
    assert len(result.to_dict()["optima"]) == 3
    nothing = fitted([t for t in trials_of(np.random.default_rng(7), dict.fromkeys(ROLES, 0.0)) if t["role"] is None])
    assert nothing.to_dict() == {"optima": [], "base": None, "drift": []}


def test_it_is_given_only_where_it_was_asked_for() -> None:
    assert fit_gamma({**ASKED, "measure": ["learning_rate"]}, [], ()) is None


def test_a_tied_proxy_has_no_readout_of_its_own() -> None:
    assert [role.value for role in gamma_roles({"proxy": {"architecture": "transformer", "tied": True}})] == [
        "embedding",
        "hidden",
    ]
    assert [role.value for role in gamma_roles({"proxy": {}})] == list(ROLES)


def test_the_learning_rate_of_a_gamma_sweep_is_one_that_every_seed_completed() -> None:
    losses = {2.0**-9: 2.2, 2.0**-8: 2.0, 2.0**-7: 2.1}
    trials = [trial(64, rate, seed, loss) for rate, loss in losses.items() for seed in (0, 1)]
    assert gamma_learning_rate(fit_optima(trials), 64) == 2.0**-8
    assert gamma_learning_rate(fit_optima(trials), 128) is None
    spoiled = [
        t if (t["learning_rate"], t["seed"]) != (2.0**-8, 1) else {**t, "status": "failed", "loss": None}
        for t in trials
    ]
    assert gamma_learning_rate(fit_optima(spoiled), 64) != 2.0**-8


def test_gammas_are_added_beyond_an_edge_until_the_best_is_bracketed() -> None:
    def swept(best: float, gammas: tuple[float, ...]) -> list[dict[str, Any]]:
        return [
            {**trial(64, 0.01, 0, 2 + 0.1 * (np.log2(gamma) - best) ** 2), "role": "hidden", "gamma": gamma}
            for gamma in gammas
        ]

    assert next_gammas([], 64, "hidden", 0.01) == GAMMAS
    assert next_gammas(swept(0, GAMMAS[:2]), 64, "hidden", 0.01) == (2.0, 4.0)
    assert next_gammas(swept(0, GAMMAS), 64, "hidden", 0.01) == ()
    assert next_gammas(swept(3, GAMMAS), 64, "hidden", 0.01) == (8.0, 16.0)
    assert next_gammas(swept(-3, GAMMAS), 64, "hidden", 0.01) == (1 / 16, 1 / 8)
    assert next_gammas(swept(3, (*GAMMAS, 8.0, 16.0)), 64, "hidden", 0.01) == ()
    assert next_gammas(swept(9, (*GAMMAS, 8.0, 16.0, 32.0, 64.0)), 64, "hidden", 0.01) == ()  # far enough
    assert next_gammas(swept(0, GAMMAS), 64, "readout", 0.01) == GAMMAS
    assert next_gammas(swept(0, GAMMAS), 64, "hidden", 0.02) == GAMMAS


def test_a_role_without_an_exponent_keeps_no_other_from_having_one() -> None:
    """The embedding's best γ passes the largest tried at every width but the first."""
    result = fitted(trials_of(np.random.default_rng(5), {"embedding": -2.5, "hidden": 0.0, "readout": 0.0}))
    assert [exponent.role for exponent in result.exponents] == ["hidden", "readout"]
    assert [drift.role for drift in result.drifts] == ["hidden", "readout"]
    assert [c.message for c in result.warnings if c.code == "no_exponent"] == [
        "The best γ of embedding is known at fewer than two widths, so there is no exponent."
    ]


def test_a_gamma_sweep_takes_neither_horizons_nor_other_roles_nor_other_rates() -> None:
    """Each would move the optimum, if it were read: its loss is far below the others'."""
    trials = trials_of(np.random.default_rng(4), dict.fromkeys(ROLES, 0.0))
    plain = fitted(trials).to_dict()
    low = [
        {**record, "loss": 1.0, **change}
        for record in trials
        if record["role"] == "hidden" and record["gamma"] == 2.0
        for change in ({"horizon": 50}, {"learning_rate": 2.0**-3}, {"learning_rate": 2.0**-12})
    ]
    assert fitted([*low, *trials, *low]).to_dict() == plain


def test_the_errors_of_gamma_and_of_the_base_learning_rate_add_in_quadrature() -> None:
    """One width's base learning rate is known badly: it weighs less in the exponent, by the sum of both variances."""
    trials = trials_of(np.random.default_rng(2), {"embedding": 0.0, "hidden": 0.3, "readout": 0.0})
    optima = {entry.width: entry.optimum for entry in fit_optima(trials)}
    result = fitted(trials)
    (drift,) = [each for each in result.drifts if each.role == "hidden"]
    found = [each for each in result.gammas if each.role == "hidden"]
    gammas = [each.optimum for each in found if each.optimum is not None]
    own = moderated_errors([one.own_error for one in gammas], [one.degrees_of_freedom for one in gammas])
    shared = np.array([one.shared_error for one in gammas])
    own = np.hypot(own, shared - shared.mean())
    variances = own**2 + np.array([(one.standard_error or 0) ** 2 for one in optima.values() if one is not None])
    y = [one.log2_learning_rate + np.log2(each.learning_rate) for one, each in zip(gammas, found, strict=True)]
    laws = fit_candidates(WIDTHS, y, np.sqrt(variances))
    assert laws.chosen.name == "power"
    assert drift.learning_rate.weights == pytest.approx(laws.weights)
    (exponent,) = [each for each in result.exponents if each.role == "hidden"]
    assert exponent.value == pytest.approx(1.0 + laws.drift.log2_learning_rate)
    assert exponent.interval is not None
    assert laws.drift.interval is not None
    assert exponent.interval == pytest.approx([1.0 + end for end in laws.drift.interval])
    (row,) = [each for each in result.to_dict()["drift"] if each["role"] == "hidden"]
    assert (row["law"], row["cell_scatter"]) == ("power", drift.learning_rate.chosen.fit.scatter)


def test_a_gamma_of_one_that_was_run_again_counts_instead_of_the_plain_trial() -> None:
    """Whichever comes first: were it the plain one that counts, the optimum would stay where it is."""
    trials = trials_of(np.random.default_rng(4), dict.fromkeys(ROLES, 0.0), noise=0.0)
    optima = fit_optima(trials)
    again = [
        {**record, "role": "hidden", "gamma": 1.0, "loss": record["loss"] - 0.02}
        for record in trials
        if record["role"] is None and record["learning_rate"] == gamma_learning_rate(optima, record["width"])
    ]
    before = {each.width: each.optimum for each in fitted(trials).gammas if each.role == "hidden"}
    after, turned = fitted([*trials, *again]), fitted([*again, *trials])
    assert [each.optimum for each in after.gammas] == [each.optimum for each in turned.gammas]
    for each in after.gammas:
        earlier = before[each.width]
        assert each.optimum is not None
        assert earlier is not None
        if each.role == "hidden":
            assert each.optimum.log2_learning_rate > earlier.log2_learning_rate + 0.02  # towards γ = 1 from below


def test_a_gamma_at_an_edge_is_named_with_its_side() -> None:
    drifts = {"embedding": -2.5, "hidden": 2.5, "readout": 0.0}
    messages = [c.message for c in fitted(trials_of(np.random.default_rng(5), drifts)).warnings]
    assert any(
        "γ of embedding: the best is the largest tried, 4, so it lies above the next one, 2;" in m for m in messages
    )
    assert any(
        "γ of hidden: the best is the smallest tried, 0.25, so it lies below the next one, 0.5;" in m for m in messages
    )


def test_a_gamma_next_to_a_divergence_is_rough() -> None:
    trials = trials_of(np.random.default_rng(4), dict.fromkeys(ROLES, 0.0))
    for record in trials:
        if (record["width"], record["role"]) == (128, "embedding") and record["gamma"] >= 2:
            record.update(status="diverged", loss=None)
    named = [c.message for c in fitted(trials).warnings if c.code == "next_to_divergence"]
    assert [message.split(":")[0] for message in named] == ["Width 128, γ of embedding"]


def test_a_skew_that_the_widths_share_moves_no_best_gamma() -> None:
    """On the grid of γ, an octave apart, the parabola's vertex lies a sixth of an octave below the best."""
    trials = [
        {**trial(width, 2.0**-8, seed, 2 + 0.12 * float(np.exp(t) - 1 - t)), "role": role, "gamma": float(gamma)}
        for width in WIDTHS
        for role in ROLES
        for gamma in (0.25, 0.5, 1.0, 2.0, 4.0)
        for seed in range(2)
        for t in [np.log2(gamma) - 0.2]
    ]
    for found in fitted(trials).gammas:
        assert found.optimum is not None
        assert found.optimum.log2_learning_rate == pytest.approx(0.2, abs=0.06)
        assert found.optimum.skew_shift > 0.08
