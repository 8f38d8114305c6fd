"""The figure of a plan, read back as XML and as numbers."""

import csv
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.layout import SVG, check_layout
from widthwise.errors import InvalidInputError
from widthwise.figures.transfer import transfer_plot
from widthwise.transfers.plan import Plan
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import QUANTITIES, Optimizer, Parameterization


def plan(base: int, target: int, **setting: str) -> Plan:
    words = {"parameterization": "mup", "optimizer": "adam", **setting}
    asked = {**words, "base": {"width": base, "learning_rate": 0.003}, "target": {"width": target}}
    return plan_of(TransferRequest.from_dict(asked))


def test_every_role_has_a_line_in_every_panel_that_moves() -> None:
    found = plan(256, 4096)
    figure = transfer_plot(found)
    root = check_layout(figure.svg())
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    hidden = found.layer("hidden").learning_rate
    assert hidden.value is not None
    assert f"hidden: 0.003 at width 256, {hidden.value:.3g} at width 4096, ∝ width^(-1.00)" in titles
    words = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert "learning rate" in words
    assert "epsilon, × base" in words  # the base gave no value
    rows = list(csv.DictReader(io.StringIO(figure.csv())))
    for layer in found.layers:
        for name, quantity in layer.quantities.items():
            ends = [float(r["value"]) for r in rows if (r["quantity"], r["role"]) == (name, layer.role.value)]
            assert math.isclose(ends[1] / ends[0], quantity.multiplier)


def test_equal_lines_lie_next_to_each_other() -> None:
    root = check_layout(transfer_plot(plan(256, 4096)).svg())
    lines = [
        tuple(line.attrib[end] for end in ("x1", "y1", "x2", "y2"))
        for group in root.iter(f"{SVG}g")
        if "at width" in (group.findtext(f"{SVG}title") or "")
        for line in group.findall(f"{SVG}line")
    ]
    assert len(lines) == len(set(lines)) > 15


def test_a_plan_of_tensors_alone_has_nothing_to_draw() -> None:
    with pytest.raises(InvalidInputError, match="name the width of base and target"):
        transfer_plot(Plan(layers=(), tensors=(), warnings=(), provenance={}))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(Parameterization)),
    st.sampled_from(list(Optimizer)),
    st.integers(1, 2**16),
    st.integers(1, 2**20),
)
def test_every_setting_is_laid_out(
    parameterization: Parameterization, optimizer: Optimizer, base: int, target: int
) -> None:
    try:
        found = plan(base, target, parameterization=parameterization.value, optimizer=optimizer.value)
    except InvalidInputError:  # a parameterization that this optimizer has no exponents for
        return
    figure = transfer_plot(found)
    check_layout(figure.svg())
    assert {row[0] for row in figure.rows} <= set(QUANTITIES)
