"""Coarse grids with one seed: their errors come from the curve and the noise that all sweeps share."""

from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_calibration, fit_optima
from tests.unit.estimate.synthetic import SPEC, trial
from widthwise.estimate import Optimum
from widthwise.estimate.curve import MISFIT


def coarse(
    widths: tuple[int, ...],
    spacing: float,
    *,
    slope: float = -1.0,
    skew: float = 1.0,
    noise: float = 0.0,
    offset: float = 0.0,
    draw: int = 0,
    points: int = 12,
) -> list[dict[str, Any]]:
    """One seed; the optimum goes as width^slope from 2^−8.2, and runs diverge 2.6 octaves above it."""
    rng = np.random.default_rng(draw)
    trials = []
    for k, width in enumerate(widths):
        best = -8.2 + slope * k
        x = -8 + offset + spacing * (np.arange(points) - points // 2 + round(slope * k / spacing))
        t = x - best
        phi = t**2 if skew == 0 else 2 * (np.exp(skew * t) - 1 - skew * t) / skew**2
        loss = 2.5 + 0.06 * phi + noise * rng.standard_normal(x.size)
        trials += [
            trial(width, float(2.0**rate), 0, None if away > 2.6 else float(each))
            for rate, away, each in zip(x, t, loss, strict=True)
        ]
    return trials


def optima_of(trials: list[dict[str, Any]]) -> list[Optimum]:
    return [entry.optimum for entry in fit_optima(trials) if entry.optimum is not None]


@pytest.mark.parametrize("skew", [0.0, 1.0])
@pytest.mark.parametrize(
    ("widths", "spacing"), [((64, 128, 256), 1.0), ((256, 512, 1024, 2048), 1.0), ((64, 128, 256, 512), np.log2(3))]
)
def test_an_exact_drift_on_a_coarse_grid_is_not_shrunk_away(
    widths: tuple[int, ...], spacing: float, skew: float
) -> None:
    result = fit_calibration(SPEC | {"widths": list(widths)}, coarse(widths, spacing, skew=skew))
    assert result.drift.value == pytest.approx(1.0, abs=0.03)
    far = result.predict(4 * widths[-1])
    truth = -8.2 - len(widths) - 1
    assert far.log2_learning_rate == pytest.approx(truth, abs=0.1)
    assert far.law_interval is not None
    assert far.law_interval[0] < truth < far.law_interval[1]
    assert far.law_interval[1] - far.law_interval[0] < 1


def test_the_error_is_that_of_three_points_with_their_misfit() -> None:
    """Without noise, points an octave from the vertex miss by MISFIT of their rise: √2·0.14/4 octaves."""
    for found in optima_of(coarse((64, 128, 256), 1.0, skew=0.0)):
        assert 0.6 * np.sqrt(2) * MISFIT / 4 < (found.standard_error or 0) < 1.2 * np.sqrt(2) * MISFIT / 4
        assert found.degrees_of_freedom == 5 * 3 - 3 * 3 - 1


@pytest.mark.parametrize("spacing", [1.0, np.log2(3)])
@pytest.mark.parametrize("noise", [1e-4, 3e-3, 3e-2])
def test_the_intervals_hold_the_optimum_and_follow_the_noise(spacing: float, noise: float) -> None:
    held, widths, errors = [], [], []
    for draw in range(40):
        offset = np.random.default_rng([7, draw]).uniform(-0.5, 0.5) * spacing
        found = optima_of(coarse((64, 128, 256, 512), spacing, noise=noise, offset=offset, draw=draw))
        for k, each in enumerate(found):
            if each.interval is None:
                continue
            low, high = np.log2(each.interval)
            held.append(low <= -8.2 - k <= high)
            widths.append(high - low)
            errors.append(each.log2_learning_rate + 8.2 + k)
    assert np.mean(held) > 0.9
    assert np.median(widths) < {1e-4: 0.6, 3e-3: 0.6, 3e-2: 2.0}[noise]
    assert np.mean(errors) == pytest.approx(0, abs=0.08)


def bracketed(found: Optimum) -> bool:
    return found.degrees_of_freedom == 0 and found.standard_error is not None and found.standard_error > 0.5


def test_what_the_sweeps_together_do_not_show_keeps_the_bracket() -> None:
    """A lone sweep, and sweeps of three learning rates each, leave nothing to see noise by."""
    (alone,) = optima_of(coarse((64,), 1.0))
    assert bracketed(alone)
    three = [t for t in coarse((64, 128, 256), 1.0, slope=0.0) if abs(np.log2(t["learning_rate"]) + 8) < 1.1]
    assert len(three) == 9
    assert all(bracketed(each) for each in optima_of(three))


def test_a_sweep_with_a_seed_that_stopped_everywhere_lends_the_others_nothing() -> None:
    sound = coarse((64, 128), 1.0)
    lost = [{**each, "seed": 1, "status": "stopped", "loss": None} for each in sound if each["width"] == 128]
    assert [entry.width for entry in fit_optima([*sound, *lost]) if entry.optimum is not None] == [64, 128]


def test_a_fine_grid_keeps_its_own_error_and_lends_a_coarse_one_its_curve() -> None:
    fine = [t for t in coarse((64, 128), 0.5, noise=1e-3, points=24) if t["width"] == 64]
    few = [
        {**t, "width": 256}
        for t in coarse((64,), 1.0, noise=1e-3, draw=1)
        if abs(np.log2(t["learning_rate"]) + 8) < 1.1
    ]
    before, (own, lent) = optima_of(fine), optima_of([*fine, *few])
    assert own == before[0]
    assert lent.degrees_of_freedom > 0
    assert (lent.standard_error or 1) < 0.2
    assert lent.log2_learning_rate == pytest.approx(-8.2, abs=0.2)


def test_the_error_of_the_common_skew_is_shared() -> None:
    found = optima_of(coarse((64, 128, 256), 1.0, noise=3e-3))
    for each in found:
        assert 0 < each.shared_error < (each.standard_error or 0)
