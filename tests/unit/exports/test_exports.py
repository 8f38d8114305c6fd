"""Every export of random plans: what it refuses, what it lists, and that its file says the plan's numbers."""

import ast
import csv
import io
import re

import pytest
import yaml
from hypothesis import given, settings

from tests.unit.exports.plans import plan_of, plans
from widthwise import InvalidInputError, Plan
from widthwise.exports.exporting import export
from widthwise.exports.registry import EXPORTS

TRAINERS = [name for name, each in EXPORTS.items() if not each.is_table]


@pytest.mark.parametrize("name", EXPORTS)
@given(plan=plans(("adam", "adamw")))
@settings(max_examples=10, deadline=None)
def test_every_plan_has_every_export(name: str, plan: Plan) -> None:
    found = export(plan, name, allow_lossy=True)
    assert plan.digest in found.text
    if name in TRAINERS:
        assert sum(tensors for _, tensors in found.groups) == sum(t.tied_to is None for t in plan.tensors)
    if found.file_name.endswith(".py"):
        ast.parse(found.text)
    elif found.file_name.endswith(".yaml"):
        yaml.safe_load(found.text)


@given(plan=plans())
@settings(max_examples=10, deadline=None)
def test_yaml_comes_back_as_it_was(plan: Plan) -> None:
    assert Plan.from_dict(yaml.safe_load(export(plan, "yaml").text)) == plan


@given(plan=plans())
@settings(max_examples=10, deadline=None)
def test_a_table_has_every_number(plan: Plan) -> None:
    rows = list(csv.DictReader(io.StringIO(export(plan, "csv").text)))
    assert [row["name"] for row in rows] == [tensor.name for tensor in plan.tensors]
    for row, tensor in zip(rows, plan.tensors, strict=True):
        assert float(row["learning_rate"]) == tensor.learning_rate.value
        assert (row["epsilon"] or None) == (
            None if tensor.epsilon is None or tensor.epsilon.value is None else repr(tensor.epsilon.value)
        )


@pytest.mark.parametrize("name", TRAINERS)
def test_what_would_be_lost_is_refused_and_listed(name: str) -> None:
    plan = plan_of()
    moved = {
        "init_std": any(abs(t.init_std.multiplier - 1) > 0.01 for t in plan.tensors),
        "forward_multiplier": any(abs(t.forward_multiplier.multiplier - 1) > 0.01 for t in plan.tensors),
    }
    assert all(moved.values())
    lost = [quantity for quantity in moved if quantity not in EXPORTS[name].carries]
    if lost:
        with pytest.raises(InvalidInputError, match=f"an export to {name} would lose") as caught:
            export(plan, name)
        assert all(quantity in str(caught.value) for quantity in lost)
    found = export(plan, name, allow_lossy=True)
    assert {each.quantity for each in found.not_expressed if each.matters} >= set(lost)
    for quantity in lost:
        assert re.search(rf"Not expressed: {quantity}", found.text)


@pytest.mark.parametrize("name", TRAINERS)
def test_another_optimizer_is_refused(name: str) -> None:
    plan = plan_of(optimizer="lion", epsilon=None)
    if name == "torch":
        assert "def optimizer(" not in export(plan, name, allow_lossy=True).text
    else:
        with pytest.raises(InvalidInputError, match="the plan is for Lion") as caught:
            export(plan, name, allow_lossy=True)
        assert caught.value.field == "optimizer"


def test_an_unknown_export_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="export is 'keras'; give one of json, yaml"):
        export(plan_of(), "keras")
