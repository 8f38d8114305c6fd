"""The coordinate check: plans pass in every scheme, and what a script forgets of a plan fails by name."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

import widthwise.torch
from tests.models.small import IDS, llama, plan_of
from widthwise import Base, InvalidInputError, Plan
from widthwise.torch.coordinate_report import CoordinateReport

SCHEMES = ("standard", "ntk", "mup", "mean_field")
CLASSES, FEATURES = 64, 16
WIDTHS = (32, 64, 128, 256)
DRAWN = torch.Generator().manual_seed(0)
INPUTS = torch.randn(64, FEATURES, generator=DRAWN)
CLASS = torch.randint(CLASSES, (64,), generator=DRAWN)
STD = {"embedding": 0.25, "hidden": 32**-0.5, "readout": 32**-0.5}
BASE = Base(learning_rate=0.01, init_std=STD)
TEXT = {**IDS, "labels": IDS["input_ids"]}


class Mlp(nn.Module):
    """Two hidden layers; PyTorch's own init follows the fan-in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(FEATURES, width, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
        self.head = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.tanh(self.read(x))
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.head(x)


def loss(outputs: Any, _batch: Any) -> Any:
    return nn.functional.cross_entropy(outputs, CLASS)


def checked(make: Callable[[int], Any], scheme: str, **words: Any) -> CoordinateReport:
    given = {"widths": WIDTHS, "batch": INPUTS, "optimizer": "adam", "loss": loss, "steps": 8, **words}
    return widthwise.torch.coordinate_check(make, parameterization=scheme, **given)


@cache
def passed(scheme: str) -> CoordinateReport:
    return checked(Mlp, scheme, base=BASE)


@cache
def plan(scheme: str, width: int) -> Plan:
    return plan_of(Mlp(32), Mlp(width), INPUTS, base=BASE, parameterization=scheme, optimizer="adam")


def planned(scheme: str, width: int) -> tuple[Mlp, Plan]:
    return Mlp(width), plan(scheme, width)


def trained(model: nn.Module, plan: Plan) -> tuple[nn.Module, torch.optim.Optimizer]:
    return model, torch.optim.Adam(widthwise.torch.param_groups(model, plan))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_mlp_with_its_plan_passes(scheme: str) -> None:
    report = passed(scheme)
    assert report.outcome == "pass", report
    assert {found.layer for found in report.check.judgements} == {"read", "hidden.0", "hidden.1", "head"}
    assert len(report.measurements) == 2 * 8  # of coordinates, and of alignment
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_llama_with_its_plan_passes(scheme: str) -> None:
    base = Base(learning_rate=0.003, init_std={**STD, "embedding": 1.0})
    words = {"widths": (32, 64, 128), "batch": TEXT, "loss": None, "optimizer": "adamw", "base": base}
    report = checked(lambda width: llama(width, depth=1), scheme, **words)
    assert report.outcome == "pass", report
    assert len(report.check.judgements) == 2 * 9
    # norms and whole blocks are measured, and theory says nothing of them
    assert {found.layer for found in report.check.sizes} > {"model.norm", "model.layers.0"}


def test_tied_weights_and_logits_that_start_small_pass() -> None:
    """The slope of the logits' change begins at −½ and rises, so that its mean alone would be an error's."""
    base = Base(learning_rate=0.003, init_std=0.18)
    words = {"widths": (32, 64, 128), "batch": TEXT, "loss": None, "optimizer": "adamw", "base": base}
    report = checked(lambda width: llama(width, depth=1, tied=True), "mup", **words, steps=12)
    assert report.outcome == "pass", report
    assert "model.embed_tokens" in {found.layer for found in report.check.judgements}


def test_a_script_that_follows_the_plan_passes() -> None:
    def made(width: int) -> Any:
        model, plan = planned("mup", width)
        plan = widthwise.torch.apply_multipliers(model, plan, INPUTS)
        widthwise.torch.init_(model, plan)
        return trained(model, plan)

    report = checked(made, "mup")
    assert report.outcome == "pass", report


def test_mup_rates_on_a_standard_model_fail() -> None:
    def made(width: int) -> Any:
        model, standard = planned("standard", width)
        widthwise.torch.init_(model, standard)
        return trained(model, planned("mup", width)[1])

    report = checked(made, "mup")
    assert report.outcome == "fail"
    assert "the output of head is proportional to width^+0.0" in str(report)
    # the head's rate falls too little, and the first layer's falls although nothing multiplies its output
    assert failed(checked(made, "standard")) == {("head", "output_change"), ("read", "output_change")}


def test_a_forgotten_readout_multiplier_fails() -> None:
    def made(width: int) -> Any:
        model, plan = planned("mup", width)
        widthwise.torch.init_(model, plan)
        return trained(model, plan)

    report = checked(made, "mup")
    assert report.outcome == "fail"
    assert ("head", "output") in failed(report)


def test_a_forgotten_init_fails() -> None:
    def made(width: int) -> Any:
        model, plan = planned("mup", width)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)  # as a configuration's one std does
        return trained(model, widthwise.torch.apply_multipliers(model, plan, INPUTS))

    report = checked(made, "mup")
    assert report.outcome == "fail"
    assert {("hidden.0", "output"), ("hidden.1", "output")} & failed(report)


def test_one_rate_for_all_tensors_fails() -> None:
    def made(width: int) -> Any:
        model, plan = planned("standard", width)
        widthwise.torch.init_(model, plan)
        return model, torch.optim.Adam(model.parameters(), lr=0.01)

    report = checked(made, "standard")
    assert report.outcome == "fail"
    assert ("hidden.1", "output_change") in failed(report)


def test_few_classes_align_the_readout_as_mup_fears() -> None:
    """With 10 classes ω is near 1: standard parameterization's logits grow, unless its rates are those for ω = 1."""

    def few(width: int) -> nn.Module:
        model = Mlp(width)
        model.head = nn.Linear(width, 10, bias=False)
        return model

    words = {"base": BASE, "loss": lambda outputs, _: nn.functional.cross_entropy(outputs, CLASS % 10)}
    report = checked(few, "standard", **words)
    assert failed(report) == {("head", "output_change")}
    assert report.alignment is not None
    assert report.alignment["readout"]["omega"] > 0.85
    assert checked(few, "standard", readout_omega=1, **words).outcome == "pass"


def failed(report: CoordinateReport) -> set[tuple[str, str]]:
    assert report.outcome == "fail", report
    return {(found.layer, found.size) for found in report.check.judgements if found.outcome == "fail"}


def test_alignment_is_the_slope_over_width_and_a_plan_follows_it() -> None:
    report = passed("standard")
    measured = report.alignment
    assert measured is not None
    stable = {each.role: each.value for each in report.aligned.exponents if each.quantity == "max_stable_learning_rate"}
    single = report.aligned.measured[0].published[256]
    assert (single, measured["hidden"]["alpha"]) == pytest.approx((0.73, 0.89), abs=0.02)  # docs/training.md says so

    def rate(alignment: Any) -> float:
        plan = plan_of(Mlp(32), Mlp(256), INPUTS, base=BASE, optimizer="adam", alignment=alignment)
        return plan.tensor("hidden.0.weight").learning_rate.multiplier

    assert rate("full") == 1 / 8
    assert rate(measured) == pytest.approx(8 ** -stable["hidden"])


def test_it_is_a_table_in_print_and_in_a_notebook() -> None:
    report = passed("mup")
    lines = str(report).splitlines()
    assert lines[0] == "coordinate check: pass (widths 32, 64, 128, 256)"
    assert sum(line.startswith("✓") for line in lines) == 8
    assert report._repr_html_().count("<tr>") == 9
    assert "<caption>coordinate check: pass" in report._repr_html_()


def test_random_numbers_stay_and_decide_nothing() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = checked(Mlp, "mup", base=BASE, widths=(32, 64, 128), steps=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert checked(Mlp, "mup", base=BASE, widths=(32, 64, 128), steps=1) == one


def test_a_run_that_diverges_says_when() -> None:
    def made(width: int) -> Any:
        model, plan = planned("standard", width)
        widthwise.torch.init_(model, plan)
        return model, torch.optim.SGD(model.parameters(), lr=3e38)

    report = checked(made, "standard", optimizer="sgd")
    assert all(each.data["diverged_at"] in (1, 2) for each in report.measurements)
    assert report.outcome != "pass"
    assert report.reasons[-1] == "some runs diverged, and their later steps are missing"
    assert "measurement_diverged" in [caution.code for caution in report.check.warnings]


def test_what_is_missing_is_said() -> None:
    with pytest.raises(InvalidInputError, match="give at least two"):
        checked(Mlp, "mup", base=BASE, widths=(32,))
    with pytest.raises(InvalidInputError, match=r"base\.learning_rate is missing"):
        checked(Mlp, "mup")
    with pytest.raises(InvalidInputError, match="has a loss that is not one number; give loss="):
        checked(Mlp, "mup", base=BASE, loss=lambda outputs, _: outputs)
    with pytest.raises(InvalidInputError, match="Mlp returns no loss"):
        checked(Mlp, "mup", base=BASE, loss=None)
    with pytest.raises(InvalidInputError, match=r"PyTorch has no 'lion'.*give make_optimizer"):
        checked(Mlp, "mup", base=BASE, optimizer="lion")
