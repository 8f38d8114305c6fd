"""Gradient exponents and epsilon from records of known truth, and the slopes behind all measured exponents."""

import json
from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_gradients
from tests.unit.estimate.measured import WIDTHS, records, specification
from widthwise.errors import InvalidInputError
from widthwise.estimate.parts.gradients import GradientPart
from widthwise.estimate.slopes import fit_slope

G = {"embedding": 0.5, "first": 0.5, "second": 0.5, "readout": 0.0}
CONSTANTS = {"epsilon": 1e-12, "underflow_share": 0.0}


def gradient_records(g: dict[str, float], *, steps: tuple[int, ...] = (0, 10), **options: Any) -> list[dict[str, Any]]:
    powers = {name: {"gradient_rms": -value, "second_moment_root_typical": -value} for name, value in g.items()}
    constants = {**CONSTANTS, **options.pop("constants", {})}
    return records("epsilon", dict.fromkeys(steps, powers), constants=constants, **options)


def fitted(found: list[dict[str, Any]], **changes: Any) -> GradientPart:
    part = fit_gradients(specification(**changes), found)
    assert part is not None
    json.dumps(part.to_dict(), allow_nan=False)
    return part


def codes(part: GradientPart) -> set[str]:
    return {warning.code for warning in part.warnings}


def test_known_exponents_come_back_with_theory_beside_them() -> None:
    part = fitted(gradient_records({"embedding": 0.5, "first": 0.9, "second": 0.7, "readout": -0.1}))
    found = {exponent.role: exponent for exponent in part.exponents}
    assert {role: round(exponent.value, 9) for role, exponent in found.items()} == {
        "embedding": 0.5,
        "hidden": 0.8,
        "readout": -0.1,
    }
    assert {role: exponent.theory for role, exponent in found.items()} == {
        "embedding": 0.5,
        "hidden": 0.5,
        "readout": 0.0,
    }
    assert found["hidden"].quantity == "epsilon"
    assert found["hidden"].widths == WIDTHS
    assert part.roles[1].by_tensor == pytest.approx({"first": 0.9, "second": 0.7})
    # the truth is far from theory in two roles, and there is no noise
    assert [w.message.split(" tensors")[0] for w in part.warnings] == [
        "Gradients of the hidden",
        "Gradients of the readout",
    ]


def test_theory_confirmed_warns_of_nothing() -> None:
    assert codes(fitted(gradient_records(G, noise=0.02, seeds=3))) == set()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = []
    for draw in range(500):
        generator = np.random.default_rng(draw)
        runs = [
            (width, seed, -0.5 * np.log(width) + 0.5 * seed + generator.normal(0, 0.1))
            for seed in range(2)
            for width in (64, 128, 256)
        ]
        slope = fit_slope(runs)
        assert slope is not None
        assert slope.interval is not None
        assert slope.degrees_of_freedom == 3
        covered.append(slope.interval[0] <= -0.5 <= slope.interval[1])
    # above 95 %, since the larger of two variances counts
    assert 0.94 <= np.mean(covered) <= 0.99


def test_more_seeds_do_not_hide_a_bend() -> None:
    """A curve that is not a power law: the interval does not shrink to nothing as seeds are added."""
    generator = np.random.default_rng(0)
    halves = []
    for seeds in (4, 64):
        runs = [
            (width, seed, 0.1 * np.log(width / 128) ** 2 + generator.normal(0, 0.05))
            for seed in range(seeds)
            for width in WIDTHS
        ]
        slope = fit_slope(runs)
        assert slope is not None
        assert slope.interval is not None
        halves.append(slope.interval[1] - slope.interval[0])
    assert halves[1] > 0.6 * halves[0]


def test_seeds_missing_at_a_width_do_not_tilt_the_slope() -> None:
    runs = [(width, seed, 5.0 * seed - 0.5 * np.log(width)) for seed in range(3) for width in WIDTHS]
    slope = fit_slope([run for run in runs if run[:2] not in ((64, 2), (512, 0))])
    assert slope is not None
    assert slope.value == pytest.approx(-0.5)


def test_two_widths_have_no_interval_and_one_run_each_no_error() -> None:
    part = fitted(gradient_records(G, widths=(64, 128), noise=0.1))
    assert {exponent.interval for exponent in part.exponents} == {None}
    assert {exponent.degrees_of_freedom for exponent in part.exponents} == {0}
    alone = fitted(gradient_records(G, widths=(64, 128), seeds=1))
    assert alone.exponents == ()
    assert alone.roles[0].value.value == pytest.approx(0.5)


def test_one_width_is_said_to_be_too_few() -> None:
    part = fitted(gradient_records(G, widths=(64,)))
    assert part.exponents == ()
    assert codes(part) == {"measurement_without_exponent"}


def test_a_tensor_without_a_gradient_stays_out_of_its_role() -> None:
    found = gradient_records({"first": 0.5, "second": 3.0}, seeds=1)
    found[1]["data"]["snapshots"][0]["tensors"]["second"]["gradient_rms"] = 0.0
    assert fitted(found).exponents[0].value == pytest.approx(0.5)


def test_gradients_that_start_at_zero_are_fitted_where_they_begin() -> None:
    found = gradient_records(G, steps=(0, 10))
    for record in found:
        for tensor in record["data"]["snapshots"][0]["tensors"].values():
            tensor["gradient_rms"] = 0.0
    assert {role.step for role in fitted(found).roles} == {10}


@pytest.mark.parametrize(("optimizer", "power"), [("adam", 1), ("adafactor", 2)])
def test_a_large_epsilon_is_flagged_with_the_one_that_would_do(optimizer: str, power: int) -> None:
    found = gradient_records({"first": 0.5}, seeds=1, level=1e-4, constants={"epsilon": 1e-6})
    part = fitted(found, optimizer=optimizer, epsilon_rule="constant")
    sizes = [record["data"]["snapshots"][0]["tensors"]["first"]["gradient_rms"] for record in found]
    assert [need.largest_epsilon for need in part.needs] == pytest.approx([0.01 * size**power for size in sizes])
    warning = next(w for w in part.warnings if w.code == "epsilon_near_gradient")
    assert "width 512" in warning.message
    assert f"At most {0.01 * sizes[-1] ** power:.2g}" in warning.message
    assert "(one constant)" in warning.message
    by_role = fitted(found, optimizer=optimizer, epsilon_rule="per_layer")
    assert "(the rule by role)" in next(w for w in by_role.warnings if w.code == "epsilon_near_gradient").message
    assert "epsilon_near_gradient" not in codes(fitted(gradient_records({"first": 0.5})))


def test_an_optimizer_without_epsilon_needs_none() -> None:
    part = fitted(gradient_records(G, level=1e-30, constants={"epsilon": 0.0}), optimizer="adam_atan2")
    assert {need.epsilon for need in part.needs} == {None}
    assert "epsilon_near_gradient" not in codes(part)


def test_lost_squares_are_flagged() -> None:
    part = fitted(gradient_records(G, constants={"underflow_share": 0.02}))
    assert "gradient_underflow" in codes(part)
    assert next(w for w in part.warnings if w.code == "gradient_underflow").message.startswith("2.0%")


def test_a_diverged_run_is_named() -> None:
    found = gradient_records(G)
    found[3]["data"]["diverged_at"] = 10
    del found[3]["data"]["snapshots"][1]
    part = fitted(found)
    assert "width 512, seed 0 by step 10" in part.warnings[0].message
    assert part.exponents[0].value == pytest.approx(0.5)


def test_records_are_read_when_asked_for_and_refused_when_malformed() -> None:
    assert fit_gradients(specification(measure=["learning_rate"]), gradient_records(G)) is None
    with pytest.raises(InvalidInputError, match="needs snapshots"):
        fit_gradients(specification(), [{"kind": "epsilon", "width": 64, "seed": 0, "data": {}}])
    broken = gradient_records(G)
    del broken[0]["data"]["snapshots"][0]["tensors"]["first"]["epsilon"]
    with pytest.raises(InvalidInputError, match="measurement of first has no 'epsilon'"):
        fit_gradients(specification(), broken)


def test_the_needs_of_a_role_are_those_of_its_worst_tensor_step_and_seed() -> None:
    """The smallest gradient and √v, the largest epsilon in force and share of lost squares; a gradient of 0 is none."""
    found = gradient_records({"first": 0.0, "second": 0.0}, widths=(64, 128), seeds=2)
    at_64 = [record["data"]["snapshots"] for record in found if record["width"] == 64]
    seed_0, seed_1 = ([snapshot["tensors"] for snapshot in snapshots] for snapshots in at_64)
    for k, tensors in enumerate((*seed_0, *seed_1)):
        for tensor in tensors.values():
            tensor.update(gradient_rms=0.5, second_moment_root_typical=0.4, epsilon=0.0, underflow_share=0.1 * k)
    seed_0[1]["second"]["gradient_rms"] = 0.2
    seed_1[0]["first"]["second_moment_root_typical"] = 0.1
    seed_1[1]["second"]["epsilon"] = 1e-5
    seed_0[0]["first"].update(gradient_rms=0.0, second_moment_root_typical=1e-9, epsilon=1.0, underflow_share=1.0)
    need, other = fitted(found).needs
    assert (need.role, need.width, other.width) == ("hidden", 64, 128)
    assert (need.gradient_rms, need.compared, need.epsilon) == (0.2, 0.1, 1e-5)
    assert need.underflow_share == pytest.approx(0.3)
    assert need.largest_epsilon == pytest.approx(0.01 * 0.1)
    assert need.share == pytest.approx(1e-4)


def test_an_epsilon_of_zero_is_in_force_and_costs_nothing() -> None:
    part = fitted(gradient_records(G, constants={"epsilon": 0.0}))
    assert {(need.epsilon, need.share) for need in part.needs} == {(0.0, 0.0)}


def test_without_a_typical_root_the_gradient_stands_for_it() -> None:
    """At init Adam has no v yet; Adafactor compares with the square."""
    for optimizer, power in (("adam", 1), ("adafactor", 2)):
        found = gradient_records({"first": 0.5}, seeds=1)
        for record in found:
            for snapshot in record["data"]["snapshots"]:
                del snapshot["tensors"]["first"]["second_moment_root_typical"]
        for need in fitted(found, optimizer=optimizer).needs:
            assert need.compared == pytest.approx(need.gradient_rms**power)


@pytest.mark.parametrize(("share", "flagged"), [(0.0099, False), (0.0101, True)])
def test_epsilon_is_flagged_from_one_percent_on(share: float, flagged: bool) -> None:
    found = gradient_records({"first": 0.0}, widths=(64, 128, 256))
    for record in found:
        for snapshot in record["data"]["snapshots"]:
            snapshot["tensors"]["first"].update(second_moment_root_typical=1.0, epsilon=share)
    assert ("epsilon_near_gradient" in codes(fitted(found))) is flagged


@pytest.mark.parametrize(("share", "flagged"), [(0.9e-3, False), (1.1e-3, True)])
def test_lost_squares_are_flagged_from_a_thousandth_on(share: float, flagged: bool) -> None:
    part = fitted(gradient_records({"first": 0.5}, constants={"underflow_share": share}))
    assert ("gradient_underflow" in codes(part)) is flagged


@pytest.mark.parametrize(("off", "flagged"), [(0.04, False), (-0.04, False), (0.06, True), (-0.06, True)])
def test_an_exponent_differs_from_theory_by_a_twentieth_or_not_at_all(off: float, flagged: bool) -> None:
    part = fitted(gradient_records({"first": 0.5 + off}, noise=1e-4))
    assert ("gradient_exponent_differs" in codes(part)) is flagged


def test_two_widths_are_enough_for_an_exponent() -> None:
    assert codes(fitted(gradient_records(G, widths=(64, 128)))) == set()


def test_records_of_other_kinds_are_passed_over() -> None:
    other = records("alignment", {10: {"first": {"alpha": 1.0}}})
    found = gradient_records(G)
    assert fitted([*other, *found[:3], *other, *found[3:]]) == fitted(found)


@pytest.mark.parametrize("large", ["embedding", "first", "readout"])
def test_only_the_role_with_a_large_epsilon_or_lost_squares_is_flagged(large: str) -> None:
    found = gradient_records(G)
    for record in found:
        for snapshot in record["data"]["snapshots"]:
            snapshot["tensors"][large].update(epsilon=1e-2, underflow_share=0.5)
    role = {"first": "hidden"}.get(large, large)
    messages = {warning.code: warning.message for warning in fitted(found).warnings}
    assert [warning.code for warning in fitted(found).warnings] == ["epsilon_near_gradient", "gradient_underflow"]
    assert f"of the {role} tensors" in messages["epsilon_near_gradient"]
    assert f"of a {role} tensor" in messages["gradient_underflow"]
