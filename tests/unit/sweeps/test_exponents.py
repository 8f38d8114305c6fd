"""The exponents that a sweep measured, as a transfer uses them."""

import math
from collections.abc import Mapping

import pytest

from tests.unit.sweeps.simulated import simulated
from widthwise import Base, Target, transfer
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.rules.beyond_width.named import About
from widthwise.sweeps import SweepFit, SweepRun, fit_sweep
from widthwise.sweeps.exponents import SweepSetting, between, exponent_over, measured_rule, middle, width_exponents
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import Role

WIDTHS = (64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)


def measured(slope: float, prescribed: tuple[str, ...] = (), **more: float | str) -> SweepFit:
    """The fit of a sweep whose best rate goes as width^slope."""
    places = [{"width": width, **more} for width in WIDTHS]
    runs, _ = simulated(places, lambda place: -8 + slope * math.log2(float(place["width"]) / 256), scatter=0.02)
    return fit_sweep(runs, prescribed=prescribed)


def test_the_exponent_is_the_fit_s() -> None:
    fit = measured(-0.7)
    found = exponent_over(fit, "width")
    assert found.value == pytest.approx(-0.7, abs=0.06)
    value, interval = fit.exponent("width", width=256.0)
    assert (found.value, *found.interval) == pytest.approx((value, *interval))
    assert (found.low, found.high) == (64.0, 2048.0)
    assert found.learnt > 0.9


def test_one_rate_for_all_tensors_gives_every_role_its_exponent() -> None:
    fit = measured(-0.7)
    found = width_exponents(fit, SweepSetting.of("standard", "adam"))
    value, (low, high) = fit.exponent("width", width=256.0)
    assert found.learning_rate == pytest.approx(dict.fromkeys(found.learning_rate, -value))
    assert set(found.learning_rate) == {Role.EMBEDDING, Role.HIDDEN, Role.READOUT, Role.VECTOR}
    assert found.intervals[Role.HIDDEN] == pytest.approx((-high, -low))


@pytest.mark.parametrize("form", ["table_9", "table_8"])
def test_prescribed_rates_add_to_theory(form: str) -> None:
    fit = measured(-0.2, ("width",))
    found = width_exponents(fit, SweepSetting.of("mup", "adam", form=form, prescribed=True))
    theory = theoretical_exponents("mup", "adam", form=form)
    value, (low, high) = fit.exponent("width", width=256.0)
    assert value == pytest.approx(-0.2, abs=0.06)
    for role, c in found.learning_rate.items():
        prescribed = float(theory[Role(role)].c)
        assert c == pytest.approx(prescribed - value)
        assert found.intervals[role] == pytest.approx((prescribed - high, prescribed - low))


def test_a_transfer_follows_it_and_says_so() -> None:
    fit = measured(-0.7)
    exponents = width_exponents(fit, SweepSetting.of("standard", "adam"), {"sweep_id": "swp_1", "revision": 3})
    plan = transfer(
        parameterization="standard",
        optimizer="adam",
        base=Base(width=256, learning_rate=0.01),
        target=Target(width=1024),
        exponents=exponents,
    ).to_dict()
    value, interval = fit.exponent("width", width=256.0)
    for layer in plan["layers"]:
        if layer["role"] != "scalar":
            assert layer["learning_rate"]["value"] == pytest.approx(0.01 * 4**value)
            assert "sweep exponents" in layer["reason"]
    named = plan["provenance"]["exponents"]
    assert (named["source"], named["sweep_id"], named["revision"]) == ("sweep", "swp_1", 3)
    over = named["over"]["width"]
    assert (over["value"], *over["interval"]) == pytest.approx((value, *interval))
    assert [warning["code"] for warning in named["warnings"]] == [caution.code for caution in fit.warnings]
    codes = {warning["code"] for warning in plan["warnings"]}
    assert {caution.code for caution in fit.warnings} <= codes
    assert "measured_extrapolation" not in codes


def test_what_it_can_not_say_is_refused() -> None:
    runs, _ = simulated([{"tokens": 2.0**k} for k in range(30, 36)], lambda _: -8.0)
    without = fit_sweep(runs)
    with pytest.raises(InvalidInputError, match=r"no axis 'width' of numbers \(it has tokens\)"):
        exponent_over(without, "width")
    with pytest.raises(InvalidInputError, match="no axis 'optimizer' of numbers"):
        exponent_over(measured(-0.5, optimizer="adam"), "optimizer")
    alike = [SweepRun(run.learning_rate, run.loss, {**run.axes, "width": 256.0}) for run in runs]
    with pytest.raises(EstimateError, match=r"over width, .* is mostly prior: the data removed 0%"):
        exponent_over(fit_sweep(alike), "width")
    with pytest.raises(InvalidInputError, match="only muP is published in several forms"):
        SweepSetting.of("standard", "adam", form="table_8")


def test_at_constant_parameters_there_is_no_wider_model() -> None:
    places = [{"width": width, "parameters": width**2 * layers} for width in WIDTHS for layers in (4.0, 16.0)]
    fit = fit_sweep(simulated(places, lambda _: -8.0)[0])
    with pytest.raises(InvalidInputError, match=r"read its runs without parameters \(`without`, --without\)"):
        width_exponents(fit, SweepSetting.of("mup", "adam"))


def test_the_middle_is_among_the_cells() -> None:
    places: list[Mapping[str, float | str]] = [
        {"width": 64.0, "kind": "a"},
        {"width": 256.0, "kind": "b"},
        {"width": 1024.0, "kind": "b"},
    ]
    runs, _ = simulated(places, lambda _: -8.0)
    found = middle(fit_sweep(runs))
    assert found["width"] == pytest.approx(256.0)
    assert found["kind"] == "b"


def over_batch_and_tokens() -> SweepFit:
    """The fit of a sweep in which the best rate grows as √batch up to a batch that grows with the tokens."""
    places: list[Mapping[str, float | str]] = [
        {"width": 256.0, "batch_tokens": 2.0**batch, "tokens": 2.0**tokens}
        for batch in range(14, 22, 2)
        for tokens in range(28, 36, 2)
    ]

    def law(place: Mapping[str, float | str]) -> float:
        batch, tokens = (math.log2(float(place[name])) for name in ("batch_tokens", "tokens"))
        critical = 18 + 0.6 * (tokens - 31)
        return -8 - math.log2(1 + 2 ** (2 * (critical - batch))) / 4

    return fit_sweep(simulated(places, law, scatter=0.05)[0])


def test_rules_about_batch_and_tokens_follow_the_sweep() -> None:
    fit = over_batch_and_tokens()
    small = {"base": Base(batch_tokens=2**14, tokens=2**32), "target": Target(batch_tokens=2**16, tokens=2**34)}
    large = {"base": Base(batch_tokens=2**20, tokens=2**28), "target": Target(batch_tokens=2**22, tokens=2**30)}
    batch = [measured_rule(fit, About.BATCH, **ends, measured="ours") for ends in (small, large)]
    assert [rule.word for rule in batch] == ["power", "power"]
    below, above = (getattr(rule, "exponent") for rule in batch)  # noqa: B009
    assert below == pytest.approx(0.5, abs=0.15)
    assert above == pytest.approx(0.0, abs=0.12)
    tokens = [measured_rule(fit, About.TOKENS, **ends, measured="ours") for ends in (small, large)]
    assert [rule.word for rule in tokens] == ["horizon", "horizon"]
    place = between(fit, small["base"], small["target"])
    assert place == pytest.approx({"width": 256.0, "batch_tokens": 2.0**15, "tokens": 2.0**33})
    value, (low, high) = fit.exponent("tokens", **place)
    assert tokens[0].to_choice() == {
        "rule": "horizon",
        "exponent": -value,
        "interval": [-high, -low],
        "measured": "ours",
    }
    with pytest.raises(InvalidInputError, match=r"rules.depth is 'measured', which there is for batch and tokens"):
        measured_rule(fit, About.DEPTH, **small, measured="ours")
