"""Advice: the order of its lines, what each rests on, and what it says of its own limits."""

import json
import math

import pytest

from widthwise import InvalidInputError
from widthwise.advice import AdviceCase, advise
from widthwise.advice.evidence import LOSSES
from widthwise.advice.proxy import calibration_for
from widthwise.calibration.spec import CalibrationSpec
from widthwise.model import MAX_WIDTH
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.search.demand import demand_of
from widthwise.vocabulary import Optimizer


def case(**given) -> AdviceCase:
    return AdviceCase.from_dict({"optimizer": "adamw", "target": {"width": 4096, "head_dim": 128}, **given})


def test_sp_with_rates_by_layer_stands_before_mup_and_one_rate() -> None:
    """Everett et al. 2024 at 26.8B: SP full 2.572, muP full 2.599, SP with one rate 2.625."""
    options = advise(case())["options"]
    loss = {(o["parameterization"], o["alignment"], o["epsilon"]): o["loss"] for o in options}
    assert (options[0]["parameterization"], options[0]["alignment"], options[0]["loss"]) == ("standard", "full", 2.572)
    assert loss["mup", "full", "one for all tensors"] == 2.599
    assert loss["standard", None, "one for all tensors"] == 2.625
    assert [o["loss"] for o in options] == sorted(loss.values())
    assert all(o["rests_on"][0]["source"] for o in options)
    close = [o["rank"] for o in options if o["not_told_apart"]]
    assert close == list(range(1, len(close) + 1))
    json.dumps(advise(case()))


def test_the_size_decides_which_losses_are_compared() -> None:
    small = advise(case(target={"width": 2048, "parameters": 10**9}))
    assert small["compared_at_parameters"] == 1.1e9
    assert small["options"][0]["loss"] == 2.757
    huge = advise(case(target={"width": 16384, "parameters": 10**11}))
    assert any("end at 26.8B" in each for each in huge["thin"])


def test_what_may_not_change_is_the_only_thing_offered() -> None:
    fixed = advise(case(parameterization="mup", may_change=[]))["options"]
    assert {o["parameterization"] for o in fixed} == {"mup"}
    assert all(o["in_use"] for o in fixed)
    both = advise(case(may_change=["parameterization", "optimizer"]))["options"]
    assert (both[0]["optimizer"], both[0]["loss"]) == ("adam_parameter_scaling", 2.554)
    with pytest.raises(InvalidInputError, match="may not change"):
        case(may_change=[])


@pytest.mark.parametrize("optimizer", Optimizer)
def test_evidence_of_another_optimizer_is_said_to_be_thin(optimizer) -> None:
    found = advise(case(optimizer=optimizer.value))
    of_own = {o["basis"] for o in found["options"] if o["optimizer"] == optimizer}
    direct = optimizer in ("adam", "adamw", "adam_atan2", "adam_parameter_scaling")
    assert any("no published losses compare" in each for each in found["thin"]) != direct
    assert ("measured" in of_own) == direct
    if "muon" in optimizer or optimizer == "sgd":
        assert of_own == {"another optimizer's losses"}
    assert (found["calibration"]["specification"] is None) != (found["calibration"]["refused"] is None)


def test_a_calibration_stands_beside_its_own_setting_alone() -> None:
    row = {
        "calibration_id": "cal_1", "quantity": "learning_rate", "role": "hidden", "value": 1.02,
        "interval": [0.9, 1.1], "theory": 1.0, "widths": [64, 128], "architecture": "mlp", "dataset": "d",
        "parameterization": "standard", "optimizer": "adamw", "alignment": "full",
    }  # fmt: skip
    others = [{**row, "optimizer": "lion"}, {**row, "quantity": "epsilon"}, {**row, "alignment": "none"}]
    options = advise(case(), [row, *others[:2]])["options"]
    for option in options:
        own = option["parameterization"] == "standard" and option["alignment"] == "full"
        assert [each["calibration_id"] for each in option["calibrations"]] == ["cal_1"] * own
    assert [o["rank"] for o in options if o["calibrations"]] == [
        o["rank"] for o in options if o["alignment"] == "full" and o["parameterization"] == "standard"
    ]


def test_a_rule_is_named_for_everything_that_changes() -> None:
    sizes = {"width": 512, "depth": 8, "batch_tokens": 10**5, "tokens": 10**9}
    found = advise(case(base=sizes, target={name: 4 * value for name, value in sizes.items()}))["rules"]
    assert [rule["about"] for rule in found] == ["depth", "batch", "tokens", "schedule", "weight_decay"]
    assert all(rule["rule"] in BY_WORD[rule["about"]] and rule["rests_on"] for rule in found)
    assert advise(case(base=sizes, target=sizes))["rules"] == []
    longer = advise(case(optimizer="sgd", base={"tokens": 10, "depth": 2}, target={"tokens": 20, "depth": 4}))
    assert [rule["about"] for rule in longer["rules"]] == ["schedule"]
    assert any("so none is offered for SGD" in each for each in longer["thin"])


@pytest.mark.parametrize(("width", "head"), [(256, 64), (1024, 128), (4096, 128), (16384, 128), (100_000, 64)])
def test_the_proxy_stays_where_the_exponents_hold(width, head) -> None:
    proxy = advise(case(target={"width": width, "head_dim": head}))["proxy"]
    base = proxy["width"]["value"]
    assert base <= width
    assert base == width or (base > 512 and width / base <= 16 and base % head == 0)
    assert proxy["head_dim"]["value"] == head
    assert proxy["tokens"]["value"][1] == 4 * proxy["tokens"]["value"][0]
    assert advise(case(target={"head_dim": 32}))["proxy"]["head_dim"]["value"] == 64
    assert advise(case(target={}))["proxy"]["width"]["value"] is None
    assert advise(case(target={"width": MAX_WIDTH}))["proxy"]["tokens"]["value"] is None  # above 2⁶³


def test_a_calibration_has_the_cost_of_its_specification() -> None:
    found = calibration_for(case())
    demand = demand_of(CalibrationSpec.from_dict(found["specification"]))
    assert (found["trials"], found["flops"]) == (demand.trials, demand.flops)
    assert "interval" in found["settles"]


def test_every_loss_is_finite_and_stands_once() -> None:
    assert len({each[:4] for each in LOSSES}) == len(LOSSES) == 21
    assert all(math.isfinite(each.larger) for each in LOSSES)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"optimizer": None}, "optimizer is missing"),
        ({"optimizer": "sophia"}, "optimizer is 'sophia'"),
        ({"colour": 1}, "no field 'colour'"),
        ({"target": 3}, "give an object"),
        ({"target": {"learning_rate": 1}}, "no size 'learning_rate'"),
        ({"may_change": "optimizer"}, "list of words"),
        ({"may_change": ["width"]}, "may_change"),
    ],
)
def test_a_wrong_case_is_refused(wrong, said) -> None:
    with pytest.raises(InvalidInputError, match=said):
        case(**wrong)
