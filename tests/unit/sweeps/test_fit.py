"""A sweep over several axes: its law, its scatter, and predictions for cells that were not run."""

import json
import math

import numpy as np
import pytest

from tests.unit.sweeps.simulated import simulated
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.sweeps import SweepRun, fit_sweep

SIZES = [{"parameters": n, "tokens": d} for n in (5e7, 1e8, 2e8, 4e8) for d in (1e9, 2e9, 4e9, 8e9)]
BATCHES = [
    {"tokens": d, "batch_tokens": b}
    for d in (1e9, 4e9, 16e9)
    for b in (2**15, 2**16, 2**17, 2**18, 2**19, 2**20, 2**21)
]
LARGER = {"parameters": 8e8, "tokens": 16e9}


def powers(place):
    """A power law of two axes."""
    return -9 - 0.4 * math.log2(place["parameters"] / 1e8) + 0.2 * math.log2(place["tokens"] / 1e9)


def saturating(place):
    """A batch that saturates later the more tokens there are."""
    d = math.log2(place["tokens"] / 4e9)
    return -8 + 0.2 * d - 0.4 * math.log2(1 + 2 ** (2 * (18 + 0.8 * d - math.log2(place["batch_tokens"]))))


@pytest.fixture(scope="module")
def sizes():
    """A fit of cells about `powers`, and the true optima of its cells."""
    runs, optima = simulated(SIZES, powers, scatter=0.1)
    return fit_sweep(runs), optima


@pytest.fixture(scope="module")
def batches():
    """A fit of cells about `saturating`."""
    return fit_sweep(simulated(BATCHES, saturating, scatter=0.08, seed=1)[0])


def test_the_law_and_the_scatter_are_recovered(sizes) -> None:
    fit, _ = sizes
    found = {one.name: one for one in fit.law}
    for name, truth in (("parameters", -0.4), ("tokens", 0.2)):
        assert found[name].value == pytest.approx(truth, abs=0.15)
        assert found[name].interval[0] < truth < found[name].interval[1]
        assert found[name].learnt > 0.7
    assert 0.05 < fit.scatter < 0.25
    assert fit.saturation_batch is None


def test_a_larger_cell_is_predicted(sizes) -> None:
    fit, _ = sizes
    found = fit.predict(**LARGER)
    assert math.log2(found.learning_rate) == pytest.approx(powers(LARGER), abs=0.25)
    assert found.interval[0] < 2.0 ** powers(LARGER) < found.interval[1]
    assert found.interval[0] < found.law_interval[0] < found.law_interval[1] < found.interval[1]
    inside = fit.predict(parameters=1.4e8, tokens=3e9)
    assert 0 < inside.expected_regret < found.expected_regret < 0.01


def test_every_cell_has_its_optimum(sizes) -> None:
    fit, optima = sizes
    found = np.log2([each.learning_rate for each in fit.optima])
    assert np.abs(found - optima).max() < 0.25
    low, high = np.log2(np.array([each.interval for each in fit.optima]).T)
    assert np.mean((low < optima) & (optima < high)) >= 14 / 16
    assert np.median(high - low) < 0.4
    assert {each.edge for each in fit.optima} == {None}
    assert all(0.003 < each.curvature < 0.05 for each in fit.optima)


def test_results_are_json(sizes) -> None:
    fit, _ = sizes
    answer = json.loads(json.dumps({**fit.to_dict(), "prediction": fit.predict(**LARGER).to_dict()}, allow_nan=False))
    assert answer["prediction"]["axes"] == LARGER
    assert len(answer["optima"]) == 16
    assert {each["prior"]["name"] for each in answer["law"]} == {"level", "parameters", "tokens"}


def test_the_order_of_the_runs_does_not_matter(sizes) -> None:
    runs, _ = simulated(SIZES, powers, scatter=0.1)
    turned = fit_sweep(runs[::-1])
    assert turned.predict(**LARGER).learning_rate == pytest.approx(sizes[0].predict(**LARGER).learning_rate, rel=0.02)


def test_the_token_exponent_changes_sign_with_the_batch(batches) -> None:
    small, (_, small_high) = batches.exponent("tokens", tokens=4e9, batch_tokens=2.0**15)
    large, (large_low, _) = batches.exponent("tokens", tokens=4e9, batch_tokens=2.0**21)
    assert small == pytest.approx(0.2 - 0.8 * 0.8, abs=0.2)
    assert large == pytest.approx(0.2, abs=0.2)
    assert small_high < 0 < large
    assert large_low > small_high


def test_the_batch_saturates(batches) -> None:
    value, (low, high) = batches.saturation_batch
    assert low < 2**18 < high
    assert value == pytest.approx(2**18, rel=0.4)
    assert batches.exponent("batch_tokens", tokens=4e9, batch_tokens=2.0**15)[0] == pytest.approx(0.8, abs=0.2)
    assert batches.exponent("batch_tokens", tokens=4e9, batch_tokens=2.0**21)[0] == pytest.approx(0.0, abs=0.05)
    far = {"tokens": 16e9, "batch_tokens": 2.0**23}
    assert math.log2(batches.predict(**far).learning_rate) == pytest.approx(saturating(far), abs=0.3)


def test_intervals_cover_cells_that_were_not_run() -> None:
    covered, widths = [], []
    asked = [LARGER, {"parameters": 2e8, "tokens": 3e9}]
    asked += [{"parameters": 8e8, "tokens": d} for d in (1e9, 2e9, 4e9)]
    for seed in range(5):
        runs, optima = simulated([*SIZES, *asked], powers, scatter=0.15, seed=seed)
        kept = [run for run in runs if run.axes not in asked]
        fit = fit_sweep(kept)
        for place, optimum in zip(asked, optima[len(SIZES) :], strict=True):
            low, high = fit.predict(**place).interval
            covered.append(low < 2.0**optimum < high)
            widths.append(math.log2(high / low))
    assert np.mean(covered) >= 0.85
    assert 0.4 < np.median(widths) < 1.2


def test_three_rates_a_factor_of_two_apart_suffice() -> None:
    runs, _ = simulated(SIZES, powers, scatter=0.1, spacing=1.0, half_width=1.0, seed=2)
    assert len(runs) == 3 * len(SIZES)
    found = fit_sweep(runs).predict(**LARGER)
    assert math.log2(found.learning_rate) == pytest.approx(powers(LARGER), abs=0.35)
    assert found.interval[0] < 2.0 ** powers(LARGER) < found.interval[1]
    assert math.log2(found.interval[1] / found.interval[0]) < 1.5


def test_an_edge_bounds_one_side() -> None:
    runs, optima = simulated(SIZES, powers, scatter=0.1, seed=4)
    first = SIZES[0]
    cut = [run for run in runs if run.axes != first or math.log2(run.learning_rate) > optima[0] + 0.3]
    edge = fit_sweep(cut).optima[0]
    assert edge.edge == "low"
    assert edge.interval[0] < 2.0 ** optima[0] < edge.interval[1]
    assert edge.interval[0] < min(run.learning_rate for run in cut if run.axes == first)


def test_a_cell_that_only_diverged_bounds_its_optimum() -> None:
    runs, optima = simulated(SIZES, powers, scatter=0.1, seed=4)
    last = SIZES[-1]
    lost = [SweepRun(2.0 ** (optima[-1] + k), None, last) for k in (0.5, 1.5)]
    fit = fit_sweep([run for run in runs if run.axes != last] + lost)
    assert fit.optima[-1].edge == "low"
    assert fit.optima[-1].learning_rate < lost[0].learning_rate
    assert fit.optima[-1].curvature is None


def test_a_finite_loss_after_divergence_moves_nothing() -> None:
    places = SIZES[:6]
    runs, _ = simulated(places, powers, scatter=0.1, seed=5)
    last = {place["tokens"]: max(run.learning_rate for run in runs if run.axes == place) for place in places[:4]}

    def with_losses(loss):
        return fit_sweep([*runs, *(SweepRun(2 * last[place["tokens"]], loss, place) for place in places[:4])])

    finite, marked = with_losses(7.8), with_losses(None)
    assert finite.predict(**LARGER).learning_rate == pytest.approx(marked.predict(**LARGER).learning_rate)
    assert "read_as_diverged" in {caution.code for caution in finite.warnings}


def test_groups_shift_the_law() -> None:
    def law(place):
        return -9 + (1.0 if place["optimizer"] == "lion" else 0.0) - 0.3 * math.log2(place["width"] / 256)

    places = [{"width": float(n), "optimizer": o} for n in (128, 256, 512, 1024) for o in ("adam", "lion")]
    fit = fit_sweep(simulated(places, law, scatter=0.05)[0])
    lion, adam = (math.log2(fit.predict(width=2048.0, optimizer=o).learning_rate) for o in ("lion", "adam"))
    assert lion - adam == pytest.approx(1.0, abs=0.3)
    other = fit.predict(width=512.0, optimizer="sgd")
    known = fit.predict(width=512.0, optimizer="adam")
    assert other.interval[1] / other.interval[0] > known.interval[1] / known.interval[0]
    assert [caution.code for caution in other.warnings] == ["unknown_level"]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"parameters": 1e8}, "give a value for each that the runs have, ['parameters', 'tokens']"),
        ({"parameters": 1e8, "tokens": "many"}, "tokens is 'many'; give a number, as the runs do"),
        ({"parameters": -1.0, "tokens": 1e9}, "parameters is -1.0; give a finite number above 0"),
    ],
)
def test_a_wrong_place_is_refused(sizes, axes, said) -> None:
    with pytest.raises(InvalidInputError) as error:
        sizes[0].predict(**axes)
    assert said in str(error.value)


def test_an_exponent_is_of_an_axis_with_numbers(sizes) -> None:
    with pytest.raises(InvalidInputError, match=r"axis is 'width'; give one of \['parameters', 'tokens'\]"):
        sizes[0].exponent("width", **LARGER)


def test_runs_that_all_diverged_are_refused() -> None:
    with pytest.raises(EstimateError, match="all 2 runs diverged; try smaller learning rates"):
        fit_sweep([SweepRun(0.1, None, {"width": 64.0}), SweepRun(0.2, None, {"width": 64.0})])


def test_importing_the_library_does_not_load_it() -> None:
    import subprocess
    import sys

    code = "import sys, widthwise; sys.exit('widthwise.sweeps' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
