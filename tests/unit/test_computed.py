"""What two readings say that the code multiplies by: powers of fans, constants, and what neither explains."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.reading.test_pairing import matrix, table
from widthwise import Base, InvalidInputError, Plan, Target, TransferRequest
from widthwise.reading.model import Attention, CodeMultiplier, ModelReading, Place
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Role


def model(
    width: int,
    multipliers: Sequence[tuple[Place, float | None, str]] = (),
    attentions: Sequence[Attention] = (),
    *,
    depth: int = 1,
    tied: bool = False,
) -> ModelReading:
    blocks = [matrix(f"h.{index}", width, width, block=index) for index in range(depth)]
    head = matrix("head", 100, width, Role.READOUT)
    return ModelReading(
        "test",
        (table("embed", 100, width), *blocks, replace(head, tied_to="embed" if tied else None)),
        tuple(attentions),
        tuple(CodeMultiplier(place, value, (name,)) for place, value, name in multipliers),
        (depth,),
        width,
    )


def request(base: ModelReading, target: ModelReading, given: Sequence[ComputedMultiplier] = ()) -> TransferRequest:
    return TransferRequest.of_models(
        base,
        target,
        base=Base(learning_rate=1e-3),
        code_multipliers=given,
        parameterization="standard",
        optimizer="adam",
    )


def plan(base: ModelReading, target: ModelReading) -> Plan:
    return plan_of(request(base, target))


@pytest.mark.parametrize(
    ("place", "name", "values", "expected"),
    [
        (Place.EMBEDDING, "embed", (8.0, 16.0), (0.5, "fan_out")),
        (Place.EMBEDDING, "embed", (7.96875, 16.0), (0.5, "fan_out")),  # √64 as bfloat16 may have it
        (Place.WEIGHT, "h.0", (0.125, 0.0625), (-0.5, "fan_in")),
        (Place.LOGITS, "head", (1 / 64, 1 / 256), (-1.0, "fan_in")),
        (Place.BRANCH, "h.0", (0.125, 0.0625), (-0.5, "fan_in")),
    ],
)
def test_a_power_of_a_fan_is_recognised(
    place: Place, name: str, values: tuple[float, float], expected: tuple[float, str]
) -> None:
    base, target = (model(width, [(place, value, name)]) for width, value in zip((64, 256), values, strict=True))
    (found,) = request(base, target).code_multipliers
    assert (found.power, found.of, found.tensors) == (*expected, (name,))


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.5, 1.0])
@pytest.mark.parametrize(("off", "found"), [(0.019, True), (-0.019, True), (0.021, False), (-0.021, False)])
def test_a_power_is_recognised_within_a_fiftieth(power: float, off: float, *, found: bool) -> None:
    """A growth of 4^(½ + 0.02) is 2.8 % above that of a square root; bfloat16 rounds by 0.4 %."""
    base, target = (model(width, [(Place.LOGITS, (width / 64) ** (power + off), "head")]) for width in (64, 256))
    made = request(base, target)
    assert [each.power for each in made.code_multipliers] == ([power] if found else [])
    assert len(made.cautions) == (0 if found else 1)


@pytest.mark.parametrize(
    ("place", "name", "expected"),
    [
        (Place.EMBEDDING, "embed", "fan_out"),
        (Place.LOGITS, "head", "fan_in"),
        (Place.WEIGHT, "h.0", "fan_in"),
        (Place.BRANCH, "h.0", "fan_in"),
    ],
)
def test_an_embeddings_width_is_its_fan_out_and_any_others_its_fan_in(place: Place, name: str, expected: str) -> None:
    """Both fans grow alike, as a vocabulary may."""
    ends = []
    for size in (64, 256):
        whole = model(size, [(place, size**0.5, name)])
        grown = tuple(replace(each, shape=(size, size)) for each in whole.parameters)
        ends.append(replace(whole, parameters=grown))
    (found,) = request(*ends).code_multipliers
    assert (found.power, found.of) == (0.5, expected)


@pytest.mark.parametrize(("growth", "moves"), [(1 + 0.9e-5, False), (1 + 1.1e-5, True)])
def test_a_multiplier_that_differs_in_the_sixth_digit_is_the_same(growth: float, *, moves: bool) -> None:
    base, target = (model(width, [(Place.LOGITS, value, "head")]) for width, value in ((64, 0.5), (256, 0.5 * growth)))
    assert bool(request(base, target).cautions) is moves


def test_several_multipliers_of_one_use_count_together() -> None:
    """√width, as width × 1/√width."""
    base, target = (
        model(width, [(Place.EMBEDDING, float(width), "embed"), (Place.EMBEDDING, width**-0.5, "embed")])
        for width in (64, 256)
    )
    (found,) = request(base, target).code_multipliers
    assert found.power == 0.5


@pytest.mark.parametrize("named", ["embed", "head"])
def test_tied_weights_are_told_apart_by_the_use_that_is_multiplied(named: str) -> None:
    """A reading names the weights' owner, or the use itself."""
    base, target = (model(width, [(Place.LOGITS, width**-0.5, named)], tied=True) for width in (64, 256))
    (found,) = request(base, target).code_multipliers
    assert found.tensors == ("head",)


def test_a_multiplier_that_stays_moves_nothing() -> None:
    base, target = (model(width, [(Place.EMBEDDING, 12.0, "embed")]) for width in (64, 256))
    assert request(base, target).code_multipliers == ()
    assert request(base, target).cautions == ()


def test_what_no_power_explains_is_a_caution() -> None:
    base, target = (model(width, [(Place.LOGITS, 1 + width / 100, "head")]) for width in (64, 256))
    assert request(base, target).code_multipliers == ()
    (said,) = request(base, target).cautions
    assert said.code == "code_multiplier_changed"
    assert "multiplies head (logits) by 1.64 in the base and by 3.56 in the target" in said.message


@pytest.mark.parametrize("values", [(0.0, 1.0), (1.0, 0.0), (-1.0, 2.0)])
def test_a_multiplier_that_is_zero_or_turns_its_sign_is_no_power(values: tuple[float, float]) -> None:
    base, target = (
        model(width, [(Place.LOGITS, value, "head")]) for width, value in zip((64, 256), values, strict=True)
    )
    assert [caution.code for caution in request(base, target).cautions] == ["code_multiplier_changed"]


def test_a_branch_of_a_deeper_model_is_no_power_of_its_width() -> None:
    """1/√depth at ×4 in both looks like 1/√width."""
    base = model(64, [(Place.BRANCH, 1.0, "h.0")])
    target = model(256, [(Place.BRANCH, 0.5, f"h.{index}") for index in range(4)], depth=4)
    assert request(base, target).code_multipliers == ()
    (said,) = request(base, target).cautions
    assert "h.0 and 3 more (branch) by 1 in the base and by 0.5" in said.message


def test_an_unknown_number_is_refused_unless_the_multipliers_are_given() -> None:
    base, target = model(64, [(Place.EMBEDDING, 8.0, "embed")]), model(256, [(Place.EMBEDDING, None, "embed")])
    with pytest.raises(InvalidInputError, match=r"multiplies embed \(embedding\) by a number that the model does not"):
        request(base, target)
    given = [ComputedMultiplier(power=0.5, of="fan_out", role="embedding")]
    assert request(base, target, given).code_multipliers == tuple(given)


def attention(head_dim: int, scale: float | None, *, normalized: bool = False) -> Attention:
    return Attention("h.0", 1, head_dim, scale, normalized)


@pytest.mark.parametrize(
    ("scales", "value", "multiplier"),
    [
        ((0.125, 1 / 16), 1 / 32, 0.5),  # 1/√d_head of 64 and 256: √64/256
        ((1.0, 1.0), 0.25, 0.25),  # T5's
        ((1 / 64, 1 / 256), 1 / 256, 1.0),  # muP's own 1/d
        ((1 / 16, 1 / 16), 1 / 64, 0.25),  # Gemma's constant query_pre_attn_scalar
    ],
)
def test_the_attention_scale_falls_as_one_over_d_from_what_the_base_has(
    scales: tuple[float, float], value: float, multiplier: float
) -> None:
    """Trained queries and keys align, so query·key ∝ d_head (2203.03466, definition 4.1), whatever the code's scale."""
    base, target = (
        model(width, attentions=[attention(width, scale)]) for width, scale in zip((64, 256), scales, strict=True)
    )
    found = plan(base, target).model.attention_scale
    assert found is not None
    assert (found.value, found.multiplier) == (pytest.approx(value), pytest.approx(multiplier))


def test_queries_and_keys_that_all_attentions_normalise_are_read() -> None:
    both = [attention(64, 0.125, normalized=True), attention(64, 0.125)]
    assert request(model(64), model(256, attentions=both[:1])).qk_norm
    assert not request(model(64), model(256, attentions=both)).qk_norm


def test_an_unknown_scale_is_refused_where_the_head_dim_changes() -> None:
    base = model(64, attentions=[attention(16, 0.25)])
    assert request(base, model(256, attentions=[attention(16, None)]))
    with pytest.raises(InvalidInputError, match=r"query·key in h\.0 by a number that the model does not hold"):
        request(base, model(256, attentions=[attention(64, None)]))


def test_a_stated_scale_is_taken_without_a_model() -> None:
    sizes = {"width": 64, "head_dim": 16, "attention_scale": 1.0}
    found = plan_of(
        TransferRequest(
            parameterization="mup",
            optimizer="adam",
            base=Base(learning_rate=1e-3, **sizes),
            target=Target(**{**sizes, "head_dim": 32}),
        )
    )
    assert found.model.attention_scale is not None
    assert found.model.attention_scale.multiplier == 0.5
    with pytest.raises(InvalidInputError, match=r"target\.attention_scale is 0; it must be a number above 0"):
        Target(attention_scale=0)
