"""The figure of a sweep, read back as XML: what it shows, where its marks are, and that no words overlap."""

import math
import re
from xml.etree import ElementTree

import pytest

from tests.unit.layout import check_layout
from tests.unit.sweeps.simulated import simulated
from widthwise.figures.panel import WIDTH
from widthwise.figures.sweep_report import sweep_report
from widthwise.sweeps import SweepRun, fit_sweep
from widthwise.sweeps.holdout import hold_out

SVG = "{http://www.w3.org/2000/svg}"
GRID = [{"parameters": n, "tokens": d} for n in (1e8, 2e8, 4e8) for d in (2e9, 4e9, 8e9)]
MANY = [{"tokens": 1e9 * 1.3**k, "model": f"a model with a long name {k % 3}"} for k in range(18)]


def law(place) -> float:
    return -9 - 0.4 * math.log2(place.get("parameters", 1e8) / 1e8) + 0.2 * math.log2(place["tokens"] / 1e9)


def drawn(places=GRID, *, held="tokens", **more) -> tuple[ElementTree.Element, str]:
    runs, _ = simulated(places, law, spacing=more.pop("spacing", 1.0), half_width=1.5, **more)
    runs += [SweepRun(runs[0].learning_rate * 2.0**9, None, runs[0].axes)]
    fit = fit_sweep(runs)
    asked = fit.predict(**{**fit.cells[0].axes, "tokens": 64e9})
    text = sweep_report(fit, predictions=[asked], held_out=hold_out(runs, held, "max")).svg()
    assert not re.search(r"\b(nan|inf|None)\b", text)
    return ElementTree.fromstring(text), text  # noqa: S314  our own text


@pytest.mark.parametrize("places", [GRID, MANY, GRID[:2]])
def test_no_words_overlap_or_leave_the_figure(places) -> None:
    root, text = drawn(places)
    assert len(list(root.iter(f"{SVG}text"))) > 20
    check_layout(text)


def test_the_figure_shows_cells_axes_and_what_was_held_out() -> None:
    root, text = drawn()
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "Loss (nats) over learning rate: 9 cells" in words
    assert {"over parameters", "over tokens", "parameters (log scale)"} <= set(words)
    assert any((each or "").startswith("Held out: ") for each in words)
    assert text.count("nats</title>") == sum(1 for _ in re.finditer(r"learning rate [\d.e-]+: [\d.]+ nats", text))
    assert text.count("predicted 0.0") >= 3
    height = float(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {height:.0f}"
    assert all(0 < float(circle.attrib["cy"]) < height for circle in root.iter(f"{SVG}circle"))


def test_a_dozen_of_many_cells_have_a_panel() -> None:
    root, _ = drawn(MANY)
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "Loss (nats) over learning rate: 12 of 18 cells" in words
    assert "over model" in words
    assert sum(bool(re.fullmatch(r"a model with \w.*…", each or "")) for each in words) == 3  # the words of its axis
    assert sum((each or "").startswith("tokens ") and "(" not in (each or "") for each in words) == 12


def test_an_optimum_at_an_edge_is_drawn_open_with_an_arrow() -> None:
    falling = [SweepRun(1e-3 * 2**k, 3 - 0.05 * k, {"tokens": d}) for d in (1e9, 2e9, 4e9) for k in range(4)]
    fit = fit_sweep(falling)
    assert {one.edge for one in fit.optima} == {"high"}
    text = sweep_report(fit).svg()
    assert text.count("open on this side: high") == 3
    assert text.count("rotate(-90 ") == 3
    bracketed, _ = drawn()
    assert "open on this side" not in "".join(element.text or "" for element in bracketed.iter(f"{SVG}title"))


def test_a_sweep_of_one_cell_has_no_axes() -> None:
    runs = [SweepRun(1e-3 * 2**k, 3 + 0.05 * (k - 1) ** 2, {"model": "a"}) for k in range(3)]
    words = [e.text for e in ElementTree.fromstring(sweep_report(fit_sweep(runs)).svg()).iter(f"{SVG}text")]  # noqa: S314
    assert "Loss (nats) over learning rate: 1 cell" in words
    assert "Best learning rate over each axis" not in words
