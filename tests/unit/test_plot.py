"""The picture of a calibration, read back as XML."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_calibration, learning_rate_plot
from tests.unit.estimate.synthetic import SPEC, parabola, sweep, trial
from tests.unit.layout import check_layout
from widthwise.figures.panel import WIDTH

SVG = "{http://www.w3.org/2000/svg}"
NO_VALUE = re.compile(r"\b(nan|inf|None)\b")
FULL_SPEC = SPEC | {"steps": 200, "proxy": {"architecture": "mlp", "dataset": "python_docs"}}


def draw(trials: list[dict[str, Any]], *, spec: dict[str, Any] = FULL_SPEC, result: Any = None) -> ElementTree.Element:
    """The parsed picture, after checks that hold for every picture."""
    text = learning_rate_plot(spec, trials, result).svg()
    assert not NO_VALUE.search(text)
    root = check_layout(text)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title") is not None
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def titles(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}title")]


def test_a_finished_calibration_shows_widths_optima_intervals_and_drift() -> None:
    trials = sweep(np.random.default_rng(0), octaves=2)
    result = fit_calibration(SPEC, trials)
    root = draw(trials, result=result.to_dict())
    shown = texts(root)
    assert {"64", "128", "256", "512", "loss (nats)", "base learning rate (log scale)"} <= set(shown)
    for entry in result.optima:
        assert entry.optimum is not None
        assert f"{entry.optimum.learning_rate:.3g}" in shown
    assert any(f"width^({result.power_law.slope:+.2f})" in text for text in shown)
    assert sum("95 % interval" in title for title in titles(root)) == 4
    losses = {f"{t['loss']:.4f} nats" for t in trials}
    drawn = [title for title in titles(root) if title.split(": ")[-1] in losses]
    assert len(drawn) == len(trials)


def test_marks_stay_inside_the_frame() -> None:
    root = draw(sweep(np.random.default_rng(0), noise=0.03))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.attrib["cx"]) < WIDTH
        assert 0 < float(circle.attrib["cy"]) < float(root.attrib["height"])


def test_the_fitted_vertex_lies_where_the_axis_says() -> None:
    """Two ticks give the scale of the axis; the diamond must sit at the optimum on it."""
    x = np.arange(-12, -4, 0.5)
    root = draw([trial(64, float(2.0**r), 0, float(parabola(r, -8.3))) for r in x])
    ticks = {
        float(t.text or ""): float(t.attrib["x"])
        for t in root.iter(f"{SVG}text")
        if t.attrib["text-anchor"] == "middle" and re.fullmatch(r"[\d.e-]+", t.text or "")
    }
    low, high = min(ticks), max(ticks)
    scale = (ticks[high] - ticks[low]) / math.log2(high / low)
    expected = ticks[low] + (-8.3 - math.log2(low)) * scale
    diamond = next(p for p in root.iter(f"{SVG}path") if p.attrib["d"].endswith("Z"))
    xs = [float(v.split()[0]) for v in re.split("[ML]", diamond.attrib["d"].rstrip(" Z")) if v]
    assert (min(xs) + max(xs)) / 2 == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    ("optimum", "bound", "direction"),
    [(-13.0, f"< {2.0**-9.5:.3g}", -1), (-2.0, f"> {2.0**-5.5:.3g}", 1)],
    ids=["below the grid", "above the grid"],
)
def test_an_optimum_beyond_the_grid_is_an_arrow_and_a_bound(optimum: float, bound: str, direction: int) -> None:
    """The bound is the second learning rate from the edge, where the arrow starts."""
    x = np.arange(-10, -4.9, 0.5)
    root = draw([trial(64, float(2.0**r), 0, float(parabola(r, optimum))) for r in x])
    assert bound in texts(root)
    group = next(g for g in root.iter(f"{SVG}g") if any("add " in (t.text or "") for t in g.findall(f"{SVG}title")))
    line = group.find(f"{SVG}line")
    assert line is not None
    assert math.copysign(1, float(line.attrib["x2"]) - float(line.attrib["x1"])) == direction


def test_divergences_are_crosses_at_their_learning_rates() -> None:
    trials = [trial(64, 2.0**r, s, None if r > -6 or (r == -6 and s) else 2.0) for r in range(-10, -3) for s in (0, 1)]
    root = draw(trials)
    assert [title for title in titles(root) if "seeds diverged" in title] == [
        "width 64, learning rate 0.01562: 1 of 2 seeds diverged",
        "width 64, learning rate 0.03125: 2 of 2 seeds diverged",
        "width 64, learning rate 0.0625: 2 of 2 seeds diverged",
    ]
    assert "loss (nats); above the frame: no loss" in texts(root)


def test_a_picture_without_trials_says_so() -> None:
    for spec in (FULL_SPEC, FULL_SPEC | {"learning_rates": [1e-4, 1e-2]}, {}):
        assert "No trial has finished yet" in texts(draw([], spec=spec))


def test_nothing_but_failures_or_divergences_still_draws() -> None:
    assert "No trial has finished yet" in texts(draw([trial(64, 1e-3, 0, None, "failed")]))
    assert "–" in texts(draw([trial(64, 1e-3, 0, None), trial(64, 2e-3, 0, None)]))


def test_one_trial_and_equal_losses_still_have_axes() -> None:
    draw([trial(64, 1e-3, 0, 0.0)])
    draw([trial(64, 1e-3 * k, 0, 2.5) for k in (1, 2, 3)])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from([1e-6, 1.0, 1e6]), st.floats(-10, 10))
def test_partial_trials_of_any_scale_draw(seed: int, kept: float, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    trials = [
        t | {"loss": scale * (t["loss"] + shift)} if rng.random() < 0.8 else t | {"status": "diverged", "loss": None}
        for t in sweep(rng, widths=(8, 16), seeds=2)
        if rng.random() < kept
    ]
    draw(trials)


@settings(deadline=None)
@given(st.text(max_size=20).filter(lambda text: not NO_VALUE.search(text)))  # a data set may be called None
def test_text_from_outside_is_escaped_whatever_it_holds(text: str) -> None:
    spec = FULL_SPEC | {"proxy": {"architecture": "mlp", "dataset": f"<script>&'\"{text}"}}
    root = draw([trial(64, 1e-3, 0, 2.0)], spec=spec)
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>&'\"" in shown for shown in texts(root))


def test_trials_stopped_early_are_bars_at_their_learning_rates() -> None:
    """They bound the basin without a loss; a picture that left them out would show a grid that was never tried."""
    trials = [trial(64, 2.0**r, s, float(parabola(r, -8.0))) for r in range(-10, -5) for s in (0, 1)]
    stopped = [trial(64, 2.0**-5, s, None, "stopped") for s in (0, 1)]
    root = draw([*trials, *stopped])
    assert [title for title in titles(root) if "stopped early" in title] == [
        "width 64, learning rate 0.03125: 2 of 2 seeds stopped early"
    ]
