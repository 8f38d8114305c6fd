"""A saved plan comes back as it was, and one that was changed is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.unit.exports.plans import plan_of, plans
from widthwise import InvalidInputError, Plan
from widthwise.transfers.digest import canonical, digest_of, with_digest


@given(plans())
@settings(max_examples=25, deadline=None)
def test_a_plan_comes_back_from_json_as_it_was(plan: Plan) -> None:
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest


def test_a_plan_comes_back_from_a_file(tmp_path: Path) -> None:
    plan = plan_of()
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    assert (tmp_path / "plan.json").read_text(encoding="utf-8").endswith("}\n")


def test_a_changed_plan_is_refused() -> None:
    value = json.loads(plan_of().to_json())
    value["tensors"][3]["learning_rate"]["value"] *= 1.0001
    with pytest.raises(InvalidInputError, match="it was changed after it was written") as caught:
        Plan.from_dict(value)
    assert caught.value.field == "plan.digest"
    del value["digest"]
    assert Plan.from_dict(value).tensors[3].name == "layers.0.norm.weight"


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("lr: 1", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"plan\.json is not JSON"):
        Plan.load(path)


def test_the_digest_does_not_depend_on_the_form() -> None:
    value = with_digest(plan_of().to_dict())
    shuffled = dict(reversed(list(value.items())))
    assert digest_of(shuffled) == value["digest"]
    assert canonical({"a": 1.0, "b": -0.0}) == canonical({"b": 0, "a": 1})
    assert canonical([0.1, 1e300, 2.0**60]) == "[0.1,1e+300,1.152921504606847e+18]"
