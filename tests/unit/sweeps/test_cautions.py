"""The warnings of a sweep: each fires where it should, is silent just outside of that, and is described."""

import re
from pathlib import Path

import pytest

from widthwise.sweeps import SweepRun
from widthwise.sweeps.cautions import fit_cautions, prediction_cautions, variance_inflation
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.estimates import LawEstimate
from widthwise.sweeps.law import LawTerm

ROOT = Path(__file__).parents[3]
GRID = [{"parameters": n, "tokens": d} for n in (1e8, 2e8, 4e8) for d in (1e9, 2e9, 4e9)]
LINE = [{"parameters": n, "tokens": 20 * n} for n in (1e8, 2e8, 4e8)]
NEARLY = [{"parameters": n, "tokens": 20 * n * k} for n, k in ((1e8, 1.0), (2e8, 1.2), (4e8, 1.0), (8e8, 1.2))]
CURVE = (3.1, 3.0, 3.1)


def cells(places=GRID, losses=CURVE, seeds=2):
    """Cells of the same losses at rates a factor of 2 apart."""
    return cells_of(
        [
            SweepRun(1e-3 * 2**k, loss, place, seed)
            for place in places
            for k, loss in enumerate(losses)
            for seed in range(seeds)
        ]
    )


def codes(found, learnt=1.0, name="tokens"):
    estimate = LawEstimate(name, 0.0, (-1.0, 1.0), LawTerm(name, 0.0, 0.3), learnt)
    return [caution.code for caution in fit_cautions(found, [estimate])]


def test_a_good_sweep_is_not_warned_about() -> None:
    assert codes(cells()) == []
    assert list(prediction_cautions({"parameters": 4e8, "tokens": 16e9}, cells())) == []


def test_axes_that_move_together_are_confounded() -> None:
    assert codes(cells(LINE)) == ["confounded_axes"]
    assert codes(cells(NEARLY)) == ["confounded_axes"]
    assert variance_inflation(cells(LINE)) == {"parameters": float("inf"), "tokens": float("inf")}
    assert variance_inflation(cells()) == pytest.approx({"parameters": 1.0, "tokens": 1.0})
    third = [{**place, "width": 64.0 * (k % 2 + 1)} for k, place in enumerate(LINE * 2)]
    assert variance_inflation(cells(third))["width"] == pytest.approx(1.0, abs=0.3)


def test_an_exponent_from_the_prior_is_said() -> None:
    assert codes(cells(), learnt=0.49) == ["mostly_prior"]
    assert codes(cells(), learnt=0.51) == []
    assert codes(cells(), learnt=0.1, name="log_sharpness") == codes(cells(), learnt=0.1, name="model=a") == []


def test_one_seed_is_said_unless_some_rate_has_two() -> None:
    assert codes(cells(seeds=1)) == ["one_seed"]
    assert codes((*cells(seeds=1), *cells(GRID[:1]))) == []


@pytest.mark.parametrize(("edges", "said"), [(3, []), (4, ["many_edges"])])
def test_more_than_a_third_of_edges_is_said(edges, said) -> None:
    falling = (3.2, 3.1, 3.05)
    assert codes((*cells(GRID[:edges], falling), *cells(GRID[edges:]))) == said


def test_finite_losses_read_as_diverged_are_said() -> None:
    assert codes(cells(losses=(*CURVE, 3.25))) == ["read_as_diverged"]
    (message,) = [each.message for each in fit_cautions(cells(losses=(*CURVE, 3.25)), [])]
    assert message.endswith("at parameters 1e+08, tokens 1e+09.")
    assert codes(cells(losses=(*CURVE, 3.23))) == []
    assert codes(cells(losses=(*CURVE, None))) == []


@pytest.mark.parametrize(("tokens", "said"), [(16.1e9, 1), (15.9e9, 0), (0.24e9, 1), (0.26e9, 0)])
def test_two_octaves_beyond_the_cells_are_far(tokens, said) -> None:
    found = [caution.code for caution in prediction_cautions({"parameters": 1e8, "tokens": tokens}, cells())]
    assert found == ["extrapolation"] * said


def test_every_warning_is_described() -> None:
    files = ("sweeps/cautions.py", "sweeps/units.py", "laws/agreement.py")
    sources = "".join((ROOT / "widthwise" / name).read_text(encoding="utf-8") for name in files)
    found = set(re.findall(r'Caution\(\s*"(\w+)"', sources))
    assert len(found) >= 10
    page = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    assert {code for code in found if f"`{code}`" not in page} == set()
