"""What a notebook and a terminal show: tables, figures and a line of progress, with every name escaped."""

import io
from typing import Any
from xml.etree import ElementTree

import pytest

from widthwise import Base, Plan, Target, Tensor, transfer
from widthwise.client.calibrations import Calibration, CalibrationReport
from widthwise.client.catalogue import DrawnFigure, FleetWorker
from widthwise.client.progress import ProgressLine
from widthwise.client.sweeps import FittedSweep, KeptSweep, SweepPredictions
from widthwise.notebook import MOST_ROWS, picture, table
from widthwise.sweeps import SweepFit, fit_sweep, runs_from_rows

EVIL = "<script>alert('x')</script>"
ROWS = [
    {"learning_rate": rate, "loss": 3.0 + 0.1 * (number - 2) ** 2, "seed": 0, "width": width, "data": EVIL}
    for width in (64, 128, 256)
    for number, rate in enumerate((0.001, 0.002, 0.004, 0.008, 0.016))
]


def calibration(state: str = "running", **members: Any) -> Calibration:
    whole = {
        **{"id": EVIL, "state": state, "reason": EVIL, "created_at": "2026-11-01T00:00:00Z"},
        **{"started_at": None, "finished_at": None, "spec": {}, "result": None},
        "progress": {"trials_done": 3, "trials_total": 12, "shards": {}, "seconds_left": 200.0},
        "estimate": {"trials": 12, "shards": 2, "training_steps": 8, "flops": 1e9},
    }
    return Calibration.read({**whole, **members})


def measured() -> Calibration:
    exponent = {
        **{"quantity": "learning_rate", "role": EVIL, "value": 1.25, "standard_error": 0.1, "interval": [1.0, 1.5]},
        **{"degrees_of_freedom": 3, "theory": 1.0, "widths": [64, 128]},
    }
    optima = [
        {"width": 64, "learning_rate": 0.01, "loss": 2.5, "interval": [0.008, 0.012], "kind": "interior"},
        {"width": 128, "learning_rate": 0.02, "loss": 2.4, "kind": "lower_bound", "bound": 0.016},
    ]
    warnings = [{"code": "thin", "message": EVIL}]
    return calibration("succeeded", result={"optima": optima, "exponents": [exponent], "warnings": warnings})


def plan(tensors: int = 2) -> Plan:
    names = [EVIL, *(f"h.{number}" for number in range(tensors - 1))]
    return transfer(
        parameterization="mup",
        optimizer="adam",
        base=Base(width=64, learning_rate=0.003),
        target=Target(width=256),
        tensors=[Tensor(name, (64, 64), (256, 256), fan_in_axes=(1,), fan_out_axes=(0,)) for name in names],
    )


def fitted() -> SweepFit:
    return fit_sweep(runs_from_rows(ROWS, groups=["data"]))


def answered() -> FittedSweep:
    sweep = {"id": "swp_1", "name": EVIL, "revision": 1, "runs": 15}
    return FittedSweep.read({"sweep": sweep, **fitted().to_dict()})


TAGS = {"div", "p", "b", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "img"}

SHOWN = {
    "plan": plan,
    "calibration": calibration,
    "measured": measured,
    "fit": answered,
    "fit here": fitted,
    "report": lambda: CalibrationReport(measured(), DrawnFigure("image/svg+xml", f"<svg>{EVIL}</svg>".encode())),
    "sweep": lambda: KeptSweep.read(
        {
            **{"id": "swp_1", "created_at": "2026-11-01T00:00:00Z", "name": EVIL, "notes": EVIL, "revision": 1},
            **{"runs": 3, "diverged": 0, "cells": 1, "reading": {}},
            "axes": {EVIL: {"levels": [EVIL]}, "width": {"low": 64, "high": 256}},
        }
    ),
    "predictions": lambda: SweepPredictions.read(
        {
            **{"sweep": {"name": EVIL}, "held_out": {"covered": 1, "cells": [{}], "median_octaves": 0.2}},
            "warnings": [{"code": EVIL, "message": EVIL}],
            "predictions": [
                {"axes": {EVIL: EVIL}, "learning_rate": 0.01, "interval": [0.009, 0.011], "expected_regret": 0.001}
            ],
        }
    ),
    "worker": lambda: FleetWorker.read(
        {
            **{"id": EVIL, "state": "idle", "host": EVIL, "device": EVIL, "versions": {EVIL: EVIL}},
            **{"last_seen": "2026-11-01T00:00:00Z", "seconds_since_seen": 1.5},
        }
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_shows_a_table_in_which_nothing_runs(name: str) -> None:
    shown = SHOWN[name]()._repr_html_()
    page = ElementTree.fromstring(f"<div>{shown}</div>")  # noqa: S314  our own text; it fails if a tag is open
    assert EVIL in "".join(page.itertext())
    assert not [element for element in page.iter() if element.tag not in TAGS]


def test_a_plan_shows_each_role_and_tensor() -> None:
    shown = plan()._repr_html_()
    assert shown.count("<table>") == 2
    assert shown.count("data:image/svg+xml;base64,") == 1
    for words in ("hidden", "0.00075", "×0.25", "h.0", "Table"):
        assert words in shown, words


def test_many_tensors_are_cut_short() -> None:
    shown = plan(MOST_ROWS + 5)._repr_html_()
    assert "and 5 more" in shown
    assert f"h.{MOST_ROWS}" not in shown


def test_a_calibration_shows_its_optima_exponents_and_warnings() -> None:
    shown = measured()._repr_html_()
    for words in ("0.01", "0.008 … 0.012", "> 0.016", "+1.250", "+1.000 … +1.500", "thin"):
        assert words in shown.replace("&gt;", ">"), words


def test_a_figure_is_an_image() -> None:
    assert picture("<svg/>").startswith('<img alt="figure"')
    assert "data:image/svg+xml;base64," in fitted()._repr_html_()


def test_a_cell_is_escaped() -> None:
    assert EVIL not in table(EVIL, (EVIL,), [(EVIL,)])


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    line = ProgressLine(stream := Terminal())
    line.show(calibration("running"))
    line.show(calibration("queued"))
    line.close()
    line.close()
    first, second = stream.getvalue().split("\r")[1:]
    assert first == "running   [#######.......................] 3/12 trials, about 3 min left"
    assert second.rstrip(" \n") == "queued    [#######.......................] 3/12 trials"
    assert len(second) == len(first) + 1  # nothing of the first is left


def test_a_pipe_gets_no_line() -> None:
    line = ProgressLine(stream := io.StringIO())
    line.show(calibration())
    line.close()
    assert stream.getvalue() == ""
