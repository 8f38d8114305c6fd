"""What the thresholds of a fit mean, by data on either side of each."""

import numpy as np
import pytest

from tests.asjson import fit_calibration, fit_optima, next_gammas, spec_of
from tests.unit.estimate.synthetic import SPEC, Floats, parabola, sweep, trial
from tests.unit.estimate.test_skew import GRID, OPTIMUM
from widthwise.estimate import fit_candidates
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.cautions import calibration_cautions
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parabola import fit_parabola

WIDTHS = (64, 128, 256, 512)
FAR = 2048  # four times the largest


def drifting(drift: float, error: float) -> Candidates:
    """The candidates for optima that drift exactly, with stated errors."""
    return fit_candidates(WIDTHS, [-8 - drift * k for k in range(4)], [error] * 4)


def apart(candidates: Candidates) -> float:
    """Octaves between what a shift and a drift predict at four times the data; theory counts only if it is chosen."""
    values = [one.predict(FAR)[0] for one in candidates.all if one.name != "none" or one is candidates.chosen]
    return max(values) - min(values)


def uncertain(candidates: Candidates) -> str:
    """The message that two laws explain these widths; empty if there is none."""
    found = calibration_cautions(spec_of({**SPEC, "widths": WIDTHS}), (), candidates, WIDTHS)
    return "".join(caution.message for caution in found if caution.code == "law_uncertain")


def test_a_law_with_less_than_a_tenth_of_the_weight_raises_no_doubt() -> None:
    """The noisier the optima, the more a shift could explain them; it always predicts an octave more than a drift."""
    shares = []
    for error in np.linspace(0.25, 0.45, 41):
        found = drifting(0.5, error)
        assert apart(found) > 1
        assert bool(uncertain(found)) == (found.weights[1] > 1 / 10)
        shares.append(found.weights[1])
    assert any(0.09 < share < 0.1 for share in shares)
    assert any(0.1 < share < 0.11 for share in shares)


def test_laws_that_part_by_half_an_octave_at_four_times_the_data_raise_a_doubt() -> None:
    distances = []
    for drift in np.linspace(0.05, 0.35, 61):
        found = drifting(drift, 0.2)
        assert min(found.weights[1:]) > 0.25
        distances.append(apart(found))
        message = uncertain(found)
        assert bool(message) == (distances[-1] > 0.5)
        assert not message or f"at width {FAR} they differ by {distances[-1]:.1f} octaves" in message
    assert any(0.47 < distance < 0.5 for distance in distances)
    assert any(0.5 < distance < 0.53 for distance in distances)


def bounded(bound: float, spacing: float, side: int) -> list[dict[str, object]]:
    """A sweep at width 512 whose loss rises from its smallest learning rate, next to `bound`; mirrored for side −1."""
    x = bound + side * spacing * np.arange(-1, 5)
    return [trial(512, float(2.0**rate), s, float(parabola(rate, x[0] - side))) for rate in x for s in range(3)]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("spacings", "errors", "contradicts"),
    [(0.05, 1.9, False), (0.05, 2.1, True), (0.95, None, False), (1.05, None, True)],
)
def test_a_bound_contradicts_the_fit_beyond_two_errors_and_a_grid_point(
    spacings: float, errors: float | None, side: int, *, contradicts: bool
) -> None:
    """Noisy optima decide by the error of their prediction, exact ones by the spacing of the bound's grid."""
    noise = 1e-9 if errors is None else 0.02
    trials = sweep(np.random.default_rng(3), widths=WIDTHS[:3], noise=noise)
    candidates = fit_calibration(SPEC, trials).candidates
    assert candidates is not None
    predicted, error = candidates.predict(512)[:2]
    excess = spacings * 0.5 if errors is None else errors * error
    spacing = 0.5 if errors is None else spacings * error
    result = fit_calibration(SPEC, [*trials, *bounded(predicted + side * excess, spacing, side)])
    found = result.optima[-1].optimum
    assert found is not None
    assert found.kind == {1: "upper_bound", -1: "lower_bound"}[side]
    # An upper bound below what is predicted, or a lower bound above it, contradicts it; the others agree.
    assert "bound_inconsistent" not in dict(result.warnings)
    result = fit_calibration(SPEC, [*trials, *bounded(predicted - side * excess, spacing, side)])
    assert ("bound_inconsistent" in dict(result.warnings)) == contradicts


def skewed_by(skew: float, grid: Floats, scatter: float = 0.0) -> list[dict[str, object]]:
    """Loss = t² + ρ·t³ at two widths; two seeds scatter about it in opposite directions, so their means are exact."""
    t = grid - OPTIMUM
    noise = scatter * (-1.0) ** np.arange(grid.size)
    return [
        trial(width, float(2.0**x), seed, 2 + 0.1 * float(at**2 + skew * at**3) + sign * float(e))
        for width in (64, 128)
        for x, at, e in zip(grid, t, noise, strict=True)
        for seed, sign in enumerate((1, -1))
    ]


def optima_of(trials: list[dict[str, object]]) -> list[Optimum]:
    found = [entry.optimum for entry in fit_optima(trials)]
    assert all(one is not None and one.kind == "interior" for one in found)
    return [one for one in found if one is not None]


NEAR = OPTIMUM + np.array([-1.4, -1.0, -0.6, -0.2, 0.2, 0.6, 1.0, 1.4])


def test_a_skew_known_only_to_a_third_is_believed_by_half() -> None:
    """A third per octave is the skew of eˣ − 1 − x: data that know it no better than that count as much as 0."""
    t_P, level_PxS = np.tile(NEAR - OPTIMUM, 2), np.repeat(np.eye(2), NEAR.size, axis=0)
    design = np.column_stack([t_P**3, t_P**2, t_P, level_PxS])
    per_scatter = np.sqrt(np.linalg.inv(design.T @ design)[0, 0] * t_P.size / (t_P.size - 5)) / 0.1  # error of ρ
    scatter = np.sqrt(2) / 3 / per_scatter  # two widths know it √2 times as well
    exact, half = optima_of(skewed_by(0.05, NEAR)), optima_of(skewed_by(0.05, NEAR, scatter))
    for whole, part in zip(exact, half, strict=True):
        assert whole.skew_shift > 0.01
        assert part.skew_shift == pytest.approx(whole.skew_shift / 2, rel=0.05)


def test_nothing_further_than_an_octave_and_a_half_shows_the_skew() -> None:
    """Losses that level off out there leave the optimum alone, and learning rates up to there are enough to see it."""
    true = np.exp(GRID - OPTIMUM) - 1 - (GRID - OPTIMUM)
    outside = np.abs(GRID - OPTIMUM) > 1.6  # a tenth more, since the first pass is about the parabola's vertex
    trials = [
        [
            trial(width, float(2.0**x), seed, 2 + 0.12 * float(loss))
            for width in (64, 128)
            for x, loss in zip(GRID, losses, strict=True)
            for seed in range(2)
        ]
        for losses in (true, np.where(outside, true.max(), true))
    ]
    assert [one.skew_shift for one in optima_of(trials[1])] == [one.skew_shift for one in optima_of(trials[0])]
    few = OPTIMUM + np.array([-1.45, -0.9, 0.0, 0.9, 1.45])
    assert all(one.skew_shift > 0.05 for one in optima_of(skewed_by(0.2, few)))


def test_the_skew_is_followed_to_where_it_moves_the_optimum() -> None:
    """One pass about the parabola's vertex misses by three times the smallest error that an optimum states."""
    for skew in (-0.3, 0.3):
        near = np.abs(GRID - OPTIMUM) < 2
        for one in optima_of(skewed_by(skew, GRID[near])):
            assert abs(one.skew_shift) > 0.1
            assert one.log2_learning_rate == pytest.approx(OPTIMUM, abs=0.0055)


def test_gammas_reach_the_ends_of_the_published_range() -> None:
    """Everett et al. 2024 tuned γ within [1e-2, 1e2]; a best that stays at the edge is followed to there."""
    for direction, end in ((1, 64.0), (-1, 1 / 64)):
        tried: tuple[float, ...] = ()
        while True:
            swept = [
                {**trial(64, 0.01, 0, 2 - 0.1 * direction * float(np.log2(gamma))), "role": "hidden", "gamma": gamma}
                for gamma in tried
            ]
            added = next_gammas(swept, 64, "hidden", 0.01)
            if not added:
                break
            tried += added
        assert tried[np.argmax(np.abs(np.log2(tried)))] == end
        assert 1e-2 <= end <= 1e2
        assert not 1e-2 <= end * 2.0**direction <= 1e2
        assert len(tried) == len(set(tried)) == 8


@pytest.mark.parametrize("level", [1e-3, 2.0, 1e3])
def test_a_curve_that_rounding_can_produce_is_flat(level: float) -> None:
    """It rises by less than 1e-12 of the loss over its window; more is a curve, with a vertex."""
    x = np.arange(-9.0, -6.9, 0.5)
    rise = (x + 8.0) ** 2 / 4  # 1 over the window
    assert fit_parabola(x, np.full((x.size, 1), level)) is None
    assert fit_parabola(x, level * (1 - 1e-3 * rise)[:, None]) is None  # its vertex is the worst
    assert fit_parabola(x, level * (1 + 0.8e-12 * rise)[:, None]) is None
    found = fit_parabola(x, level * (1 + 1.25e-12 * rise)[:, None])
    assert found is not None
    assert found.vertex == pytest.approx(-8, abs=0.01)
