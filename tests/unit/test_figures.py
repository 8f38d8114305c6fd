"""What every figure keeps: its formats, its colours on paper and in the dark, its ticks, its words."""

import csv
import io
import math
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_calibration, learning_rate_plot, width_plot
from tests.unit.estimate.synthetic import parabola, sweep, trial
from tests.unit.layout import boxes, check_layout
from widthwise.errors import InvalidInputError
from widthwise.figures.axes import Axes
from widthwise.figures.colours import DARK, FAINT, GRID, INK, PAPER, SHADES, ramp
from widthwise.figures.figure import Figure, Rows
from widthwise.figures.lettering import fitting, length, wrapped
from widthwise.figures.panel import BELOW, EDGE, LEFT, TICK, WIDTH, draw_panel, room_for
from widthwise.figures.svg import document, written
from widthwise.figures.ticks import linear_ticks, log_ticks, loss_ticks, short, width_ticks

SPEC = {"steps": 200, "proxy": {"architecture": "mlp", "dataset": "python_docs"}, "optimizer": "adam"}
LOW, RATIO = st.floats(1e-9, 1e15), st.floats(1.05, 1e9)


def drawn() -> Figure:
    return learning_rate_plot(SPEC, sweep(np.random.default_rng(0), widths=(32, 64), seeds=2))


class TestFormats:
    """One figure as SVG, PDF, PNG and CSV."""

    @pytest.mark.parametrize(
        ("name", "head"), [("a.svg", b"<svg "), ("a.PDF", b"%PDF-"), ("a.png", b"\x89PNG"), ("a.csv", b"mark,width,")]
    )
    def test_the_files_name_says_the_format(self, tmp_path: Path, name: str, head: bytes) -> None:
        drawn().save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)

    def test_the_pdf_is_text_in_a_font_that_it_holds(self) -> None:
        content = drawn().pdf()
        assert b"/FontFile2" in content or b"/FontFile3" in content
        assert b"/ToUnicode" in content

    def test_every_letter_is_in_the_font_or_its_whole_line_would_be_in_another(self) -> None:
        trials = sweep(np.random.default_rng(0), widths=(32, 64, 128), seeds=2)
        found = fit_calibration(SPEC, trials).to_dict()
        for figure in (learning_rate_plot(SPEC, trials, found), width_plot(SPEC, trials)):
            words = {letter for box in boxes(check_layout(figure.svg())) for letter in box.words}
            assert {letter for letter in words if ord(letter) > 0xFF} <= set("–…")

    def test_a_png_has_three_pixels_for_each_of_the_drawing(self) -> None:
        figure = drawn()
        width = int.from_bytes(figure.png()[16:20])
        assert width == 3 * WIDTH
        assert int.from_bytes(figure.png(scale=1.0)[16:20]) == WIDTH

    def test_another_ending_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        for name in ("a.jpg", "a", "svg"):
            with pytest.raises(InvalidInputError, match=r"\.svg, \.pdf, \.png, \.csv"):
                drawn().save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="can't be written: No such file"):
            drawn().save(tmp_path / "none" / "a.svg")

    def test_without_the_extra_the_error_has_the_line_that_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "vl_convert", None)  # as where it isn't installed
        figure = drawn()
        for print_it in (figure.pdf, figure.png):
            with pytest.raises(InvalidInputError, match=r"pip install 'widthwise\[figures\]'"):
                print_it()
        assert figure.svg() == figure._repr_svg_()
        assert figure.csv()

    def test_the_numbers_are_those_of_the_trials(self) -> None:
        trials = sweep(np.random.default_rng(0), widths=(32, 64), seeds=2)
        rows = list(csv.DictReader(io.StringIO(learning_rate_plot(SPEC, trials).csv())))
        found = {
            (int(r["width"]), float(r["learning_rate"]), int(r["seed"])): float(r["loss"]) for r in rows if r["seed"]
        }
        assert found == {(t["width"], t["learning_rate"], t["seed"]): t["loss"] for t in trials}
        assert [row["kind"] for row in rows if row["mark"] == "optimum"] == ["interior", "interior"]

    def test_a_row_with_a_column_that_is_not_there_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="no column of this figure: widht"):
            Rows("width").add(widht=3)

    def test_two_figures_on_a_page_share_no_id(self) -> None:
        one, other = drawn(), width_plot(SPEC, sweep(np.random.default_rng(0), widths=(32, 64), seeds=2))
        ids = [set(re.findall(r'id="([^"]+)"', figure.svg())) for figure in (one, other)]
        assert ids[0]
        assert not ids[0] & ids[1]
        for figure, found in zip((one, other), ids, strict=True):
            assert set(re.findall(r"url\(#([^)]+)\)", figure.svg())) == found


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


class TestColours:
    """On paper and in the dark."""

    def test_words_and_lines_stand_out_on_both_pages(self) -> None:
        for colour, least in ((INK, 7.0), (FAINT, 4.5), *((ramp(k / SHADES), 2.95) for k in range(SHADES + 1))):
            assert contrast(colour, PAPER) >= least, colour
            assert contrast(DARK[colour], DARK[PAPER]) >= least, DARK[colour]
        assert contrast(GRID, PAPER) < 1.5 > contrast(DARK[GRID], DARK[PAPER])

    def test_the_ramp_is_ordered_in_lightness_so_it_reads_in_grey_and_colour_blind(self) -> None:
        for shades in ([ramp(k / 8) for k in range(9)], [DARK[ramp(k / 8)] for k in range(9)]):
            assert all(luminance(a) < luminance(b) for a, b in pairwise(shades))

    def test_every_colour_of_a_figure_has_one_for_a_dark_page(self) -> None:
        for figure in (drawn(), width_plot(SPEC, sweep(np.random.default_rng(0), widths=(32, 64, 128)))):
            text = figure.svg()
            for name, colour in set(re.findall(r'\b(fill|stroke)="(#\w+)"', text)):
                assert f'.widthwise [{name}="{colour}"]{{{name}:{DARK[colour]}}}' in text


class TestTicks:
    """Decades and 1-2-5, wherever the data lie."""

    @settings(deadline=None)
    @given(LOW, RATIO, st.floats(60, 500), st.booleans())
    def test_they_are_1_2_5_inside_and_their_labels_apart(
        self, low: float, ratio: float, pixels: float, upright: bool
    ) -> None:
        ticks = log_ticks(low, low * ratio, pixels, upright=upright)
        span = math.log2(ratio)
        assert all(math.log2(low) - 1e-6 <= tick.at <= math.log2(low) + span + 1e-6 for tick in ticks)
        if ratio > 5:
            digits = {f"{2.0**tick.at:.2e}"[:4] for tick in ticks}
            assert digits <= {"1.00", "2.00", "5.00"}
            assert ticks
        labelled = [tick for tick in ticks if tick.label]
        assert len({tick.label for tick in labelled}) == len(labelled)
        for one, other in pairwise(labelled):
            sizes = [12.0, 12.0] if upright else [length(tick.label, 12) for tick in (one, other)]
            assert (other.at - one.at) / span * pixels >= sum(sizes) / 2
        for one, other in pairwise(ticks):
            assert (other.at - one.at) / span * pixels > 3

    @settings(deadline=None)
    @given(st.floats(1, 1e6), st.floats(1.5, 1e5), st.floats(200, 500))
    def test_widths_are_powers_of_two(self, low: float, ratio: float, pixels: float) -> None:
        ticks = width_ticks(low, low * ratio, pixels)
        if ratio >= 2:
            assert ticks
            assert all(tick.at == round(tick.at) for tick in ticks)

    @settings(deadline=None)
    @given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6), st.integers(2, 8))
    def test_losses_are_multiples_of_1_2_or_5(self, low: float, span: float, most: int) -> None:
        high = low + span
        if high - low < 1e-12 * abs(low):
            return
        found = linear_ticks(low, high, most)
        assert len(found) <= most
        for one, other in pairwise(found):
            assert f"{other - one:.2e}"[:3] in ("1.0", "2.0", "5.0", "9.9") or span < 1e-5 * abs(low)

    @settings(max_examples=40, deadline=None)
    @given(LOW, RATIO, st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
    def test_a_panel_of_any_range_has_no_label_over_another(
        self, low: float, ratio: float, bottom: float, span: float
    ) -> None:
        top = 60
        ends = math.log2(low), math.log2(low * ratio)
        y_ticks = loss_ticks(bottom, bottom + span, 8)
        left = room_for(y_ticks)
        axes = Axes(*ends, bottom, bottom + span, left, WIDTH - EDGE, top, top + 200)
        root = document(WIDTH, "any range")
        x_ticks = log_ticks(low, low * ratio, WIDTH - EDGE - left, TICK)
        draw_panel(root, axes, x_ticks, y_ticks, ("learning rate", "loss"))
        check_layout(written(root, top + 200 + BELOW))
        up = Axes(*ends, *ends, LEFT, WIDTH - EDGE, top, top + 200)
        root = document(WIDTH, "any range, upright")
        draw_panel(root, up, x_ticks, log_ticks(low, low * ratio, 200, TICK, upright=True), ("x", "y"))
        check_layout(written(root, top + 200 + BELOW))


class TestLettering:
    """Words that fit."""

    @settings(deadline=None)
    @given(st.text(max_size=80), st.floats(30, 400), st.integers(8, 16), st.booleans())
    def test_lines_fit_and_keep_every_short_word(self, words: str, pixels: float, size: int, bold: bool) -> None:
        lines = wrapped(words, pixels, size, bold=bold)
        assert all(length(line, size, bold=bold) <= pixels for line in lines)
        assert length(fitting(words, pixels, size, bold=bold), size, bold=bold) <= pixels

    def test_a_sentence_is_broken_between_words(self) -> None:
        lines = wrapped("the optima alone go as width", 100, 12)
        assert len(lines) > 1
        assert " ".join(lines) == "the optima alone go as width"

    def test_numbers_are_written_in_a_few_letters(self) -> None:
        values = (1e-4, 2.44e-4, 0.01, 0.5, 64, 4096, 32768, 1e12, 3e20)
        assert [short(value) for value in values] == [
            *("1e-4", "2.44e-4", "0.01", "0.5", "64", "4096", "32.8k", "1T", "3e20"),
        ]


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.integers(1, 2**17), min_size=1, max_size=6, unique=True),
    st.floats(-30, 5),
    st.floats(-1, 1),
    st.floats(0.3, 2),
    st.tuples(st.sampled_from([1e-6, 1.0, 1e6]), st.integers(0, 5)),
)
def test_the_figures_of_any_calibration_are_laid_out(widths, at, drift, step, losses) -> None:
    scale, diverged = losses
    trials = [
        trial(width, 2.0 ** (at + step * k), seed, None)
        if k > 8 - diverged
        else trial(
            width, 2.0 ** (at + step * k), seed, scale * (float(parabola(step * (k - 4), drift * place)) + seed / 99)
        )
        for place, width in enumerate(sorted(widths))
        for k in range(9)
        for seed in (0, 1)
    ]
    loss = learning_rate_plot(SPEC, trials)
    over_width = width_plot(SPEC, trials)
    assert len(boxes(check_layout(loss.svg()))) > 8
    check_layout(over_width.svg())
    result = fit_calibration(SPEC, trials) if any(t["loss"] for t in trials) else None
    optima = [row for row in csv.DictReader(io.StringIO(over_width.csv())) if row["mark"] == "optimum"]
    assert result is None or len(optima) == sum(entry.optimum is not None for entry in result.optima)
