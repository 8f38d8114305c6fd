"""What a plan says about the width rule: its reasons by role, and the numbers that its cautions name."""

import math

import pytest

from widthwise import Base, Exponents, Role, Target, Tensor, UnplacedTensorsError, transfer
from widthwise.rules.width_cautions import epsilon_cautions, measured_cautions, narrowest_hidden
from widthwise.tensors.placement import place

HALF = {Role.EMBEDDING: 0.5, Role.HIDDEN: 0.5, Role.READOUT: 0.0}  # g of standard under Adam


def test_a_reason_names_the_growth_of_the_fans_that_are_widths() -> None:
    plan = transfer(
        parameterization="mup",
        optimizer="adam",
        base=Base(width=64),
        target=Target(width=256),
        tensors=[
            Tensor("wte", (100, 64), (150, 256), (0,), (1,), role="embedding"),
            Tensor("up", (64, 128), (256, 640), (0,), (1,)),
            Tensor("head", (64, 100), (256, 150), (0,), (1,), role="readout"),
            Tensor("gain", (64,), (256,)),
            Tensor("scale", (3,), (3,)),
        ],
    )
    starts = {tensor.name: tensor.reason.split(":")[0] for tensor in plan.tensors}
    assert starts == {
        "wte": "fan_out ×4",
        "up": "fan_in ×4, fan_out ×5",
        "head": "fan_in ×4",
        "gain": "fan_out ×4",
        "scale": "no axis grows",
    }
    assert {layer.reason.split(":")[0] for layer in plan.layers if layer.role is not Role.SCALAR} == {"width ×4"}


def test_widths_are_read_from_hidden_fans_that_change_in_either_direction() -> None:
    """The narrowest that changes; a constant one says nothing, nor do the fans of other roles."""
    tensors = [
        Tensor("constant", (8, 8), (8, 8), (0,), (1,), role="hidden"),
        Tensor("down", (256, 64), (128, 32), (0,), (1,), role="hidden"),
        Tensor("up", (64, 256), (32, 128), (0,), (1,), role="hidden"),
        Tensor("head", (16, 9), (8, 9), (0,), (1,), role="readout"),
    ]
    assert narrowest_hidden(place(tensors)) == (64, 32)
    assert narrowest_hidden(place([tensors[0], tensors[3]])) is None
    plan = transfer(parameterization="mup", optimizer="adam", base=Base(), target=Target(), tensors=tensors)
    assert "target_smaller" in {warning.code for warning in plan.warnings}


def near(base: Base, target: Target, power: int = 1, widths: tuple[int, int] = (64, 640)) -> str:
    cautions = dict(epsilon_cautions(base, target, HALF, widths, power))
    return cautions.get("epsilon_near_gradient", "")


def test_without_a_measurement_the_gradient_is_estimated_from_width_and_batch() -> None:
    """n^(−g)/√batch at the target's width and batch: smallest, and so nearest, in the layers with the largest g."""
    base, target = Base(epsilon=1e-3, batch_tokens=100), Target(batch_tokens=10_000)
    assert f"of about {640**-0.5 / 100:.2g} expected in the embedding layers" in near(base, target)
    assert "estimated, not measured)" in near(base, target)
    assert f"of about {640**-0.5 / 10:.2g} expected" in near(Base(epsilon=1e-1, batch_tokens=100), Target())
    assert f"of about {640**-0.5 * 2**-8.5:.2g} expected" in near(Base(epsilon=1e-3), Target())  # 2¹⁷ tokens


def test_a_measured_gradient_shrinks_from_the_base_with_its_exponent() -> None:
    base = Base(epsilon=1e-3, gradient_rms={"hidden": 2e-3, "embedding": 1.0, "readout": 1e-2})
    message = near(base, Target())
    assert f"epsilon 0.001 is near or above the gradient RMS of about {2e-3 * 10**-0.5:.2g} expected in the hidden" in (
        message
    )
    assert "(measured at the base): a constant" in message
    assert "its square" not in message


def test_the_role_with_the_largest_share_is_named_wherever_it_stands() -> None:
    for worst in ("embedding", "hidden", "readout"):
        epsilon = {role: 1e-3 if role == worst else 5e-4 for role in ("embedding", "hidden", "readout")}
        rms = {"embedding": 10**0.5 * 1e-3, "hidden": 10**0.5 * 1e-3, "readout": 1e-3}  # 1e-3 each at the target
        assert f"in the {worst} layers" in near(Base(epsilon=epsilon, gradient_rms=rms), Target())


def test_an_epsilon_that_adds_to_the_square_is_compared_by_its_root() -> None:
    """ε = 1e-8 counts as 1e-4 against |g|: a tenth of 1e-3, as ε = 1e-4 is where it adds to |g|."""
    for rms, flagged in ((0.99e-3, True), (1.01e-3, False)):
        gradient = dict.fromkeys(("embedding", "hidden"), rms * 10**0.5) | {"readout": rms}
        square = near(Base(epsilon=1e-8, gradient_rms=gradient), Target(), power=2)
        plain = near(Base(epsilon=1e-4, gradient_rms=gradient), Target())
        assert (bool(square), bool(plain)) == (flagged, flagged)
        assert (", and is added to its square: a constant" in square) is flagged
        assert "square" not in plain


def test_the_smallest_epsilon_of_base_and_target_is_named() -> None:
    """A role without an epsilon hides no other; the plan takes ε by m^(−g), or m^(−2g) where it adds to the square."""
    base = Base(epsilon={"embedding": 0.0, "hidden": 1e-18, "readout": 1e-18})
    found = dict(epsilon_cautions(base, Target(), HALF, (64, 64 * 10_000), 1))
    assert "epsilon 1e-20, at the base or at the target, is under 1e-19" in found["epsilon_underflow"]
    square = dict(epsilon_cautions(Base(epsilon=1e-36), Target(), HALF, (64, 6400), 2))
    assert "epsilon 1e-38, at the base or at the target, is under 1.2e-38" in square["epsilon_underflow"]
    shrinking = dict(epsilon_cautions(Base(epsilon=1e-25), Target(), HALF, (640, 64), 1))
    assert "epsilon 1e-25, " in shrinking["epsilon_underflow"]


@pytest.mark.parametrize(
    ("widths", "beyond"),
    [((64, 256), False), ((63, 256), True), ((64, 257), True), ((256, 64), False), ((512, 512), False)],
)
def test_measured_exponents_reach_from_the_smallest_to_the_largest_width(widths: tuple[int, int], beyond: bool) -> None:
    found = dict(measured_cautions(widths, [128, 256, 64], {}, {}))
    assert ("measured_extrapolation" in found) is beyond
    if beyond:
        assert f"at widths 64 to 256 and are used from {widths[0]} to {widths[1]}" in found["measured_extrapolation"]


@pytest.mark.parametrize(("interval", "agrees"), [((1.0, 1.2), True), ((0.8, 1.0), True), ((1.01, 1.2), False)])
def test_an_interval_that_ends_at_theory_contains_it(interval: tuple[float, float], agrees: bool) -> None:
    theory = {Role.HIDDEN: 1.0, Role.READOUT: 1.0}
    both = {Role.READOUT: (0.5, 1.5), Role.HIDDEN: interval}
    assert ("measured_agrees_with_theory" in dict(measured_cautions(None, (), both, theory))) is agrees
    assert not list(measured_cautions(None, (), both, theory, shifted=True))
    assert not list(measured_cautions((64, 128), (), {}, theory))


def test_both_uses_of_a_tied_table_are_named_with_their_own_exponents() -> None:
    """SP, Adam, full alignment: c = 0 as an embedding; as a readout 1, less the ½ that moves into the multiplier."""
    tied = [Tensor("wte", (101, 64), (101, 256)), Tensor("head", (101, 64), (101, 256), tied_to="wte")]

    def message(**more: object) -> str:
        plan = transfer(
            parameterization="standard",
            optimizer="adam",
            base=Base(width=64),
            target=Target(width=256),
            tensors=tied,
            **more,  # type: ignore[arg-type]
        )
        return {warning.code: warning.message for warning in plan.warnings}["tied_conflict"]

    assert "∝ width^0 as an embedding and ∝ width^-0.5 as a readout" in message()
    measured = message(exponents=Exponents({"embedding": 0.25, "readout": 1.75}))
    assert "∝ width^-0.25 as an embedding and ∝ width^-1.25 as a readout" in measured


@pytest.mark.parametrize("shapes", [((64, 64), (128, 256)), ((64, 128), (256, 256))])
def test_a_matrix_that_is_square_at_one_end_alone_has_an_order(
    shapes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    with pytest.raises(UnplacedTensorsError, match="give layout"):
        place([Tensor("w", *shapes)])


def test_one_covered_size_hides_no_other() -> None:
    base = Base(width=1024, depth=2, batch_tokens=10, tokens=100, head_dim=64)
    target = Target(width=2048, depth=4, batch_tokens=20, tokens=200, head_dim=128)
    plan = transfer(parameterization="mup", optimizer="adam", base=base, target=target)
    codes = {warning.code for warning in plan.warnings}
    assert codes >= {"depth_changed", "batch_changed", "horizon_changed", "head_dim_changed"}
    assert not codes & {"small_base_width", "extrapolation", "target_smaller"}  # above 512, as below 16 times
    assert math.isclose(plan.layer("hidden").learning_rate.multiplier, 0.5)
