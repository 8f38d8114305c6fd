"""The picture of a transfer, read back as XML."""

import csv
import io
import math
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tests.asjson import fit_calibration, width_plot
from tests.unit.estimate.synthetic import SPEC, parabola, sweep, trial
from tests.unit.layout import check_layout
from widthwise.estimate.choice import NAMES

SVG = "{http://www.w3.org/2000/svg}"
FULL_SPEC = SPEC | {"steps": 200, "proxy": {"architecture": "mlp", "dataset": "python_docs"}}


def draw(trials: list[dict[str, Any]]) -> ElementTree.Element:
    text = width_plot(FULL_SPEC, trials).svg()
    assert not re.search(r"\b(nan|inf|None)\b", text)
    return check_layout(text)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def at(widths: dict[int, float]) -> list[dict[str, Any]]:
    """Noiseless sweeps whose optimum lies at the log2 learning rate given for each width."""
    return [
        trial(width, 2.0**r, seed, float(parabola(r, optimum)) + 0.001 * seed)
        for width, optimum in widths.items()
        for r in np.arange(-12, -3, 0.5).tolist()
        for seed in (0, 1)
    ]


def test_a_drift_is_drawn_as_the_power_law_that_was_chosen() -> None:
    root = draw(at({32: -6.0, 64: -7.0, 128: -8.0, 256: -9.0}))
    said = next(each.text or "" for each in root.iter(f"{SVG}desc"))
    assert re.fullmatch(
        r"Chosen: power of width, as widths left out are missed by 0\.\d\d octaves \(by theory: \d\.\d\d\); "
        r"the optima alone go as width\^\(-1\.00 ± 0\.\d\d\)",
        said,
    )
    assert said in " ".join(texts(root))  # broken into lines
    assert {NAMES["none"], NAMES["shift"], f"{NAMES['power']} (chosen)"} <= set(texts(root))
    laws = [path for path in root.iter(f"{SVG}path") if path.attrib.get("stroke-width") == "2.4"]
    assert len(laws) == 1  # one law is in force
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", laws[0].attrib["d"]) if point.strip()]
    assert points[-1][1] > points[0][1]  # it falls, and y grows downwards


def test_every_optimum_lies_where_the_axes_say() -> None:
    root = draw(at({32: -8.0, 64: -8.0, 128: -8.0}))
    ticks = {
        float(t.text or ""): float(t.attrib["x"])
        for t in root.iter(f"{SVG}text")
        if t.attrib["text-anchor"] == "middle" and re.fullmatch(r"\d+", t.text or "")
    }
    marks = [p.attrib["d"] for p in root.iter(f"{SVG}path") if p.attrib["d"].endswith("Z")]
    for width, mark in zip((32, 64, 128), marks[:3], strict=True):  # after these, the key's
        xs = [float(point.split()[0]) for point in re.split("[ML]", mark.rstrip(" Z")) if point]
        assert math.isclose((min(xs) + max(xs)) / 2, ticks[width], abs_tol=0.2)


def test_a_bound_is_an_arrow_and_too_little_is_said_in_words() -> None:
    bound = at({32: -8.0}) + [trial(64, 2.0**r, s, 2.0 + r / 100) for r in range(-8, -3) for s in (0, 1)]
    root = draw(bound)
    assert any("rotate(90" in group.attrib.get("transform", "") for group in root.iter(f"{SVG}g"))
    assert any("1 of 2 widths have an optimum inside their grid" in text for text in texts(root))
    assert any("No width has an optimum yet" in text for text in texts(draw([])))


def test_noisy_trials_of_a_running_calibration_draw() -> None:
    rng = np.random.default_rng(0)
    for kept in (0.2, 0.6, 1.0):
        draw([each for each in sweep(rng, widths=(8, 16, 32), seeds=2) if rng.random() < kept])


def test_predictions_at_two_four_and_sixteen_times_the_largest_width_are_marks_and_rows() -> None:
    spec, trials = FULL_SPEC, at({32: -6.0, 64: -7.0, 128: -8.0, 256: -9.0})
    figure = width_plot(spec, trials)
    shown = texts(check_layout(figure.svg()))
    result = fit_calibration(SPEC, trials)
    rows = [row for row in csv.DictReader(io.StringIO(figure.csv())) if row["mark"] == "prediction"]
    for factor, row in zip((2, 4, 16), rows, strict=True):
        assert f"{256 * factor} (×{factor})" in shown
        found = result.predict(256 * factor)
        assert math.isclose(float(row["learning_rate"]), 2.0**found.log2_learning_rate)
        assert found.interval is not None
        assert math.isclose(float(row["low"]), 2.0 ** found.interval[0])
        assert f"{float(row['low']):.3g} to {float(row['high']):.3g}" in shown
