"""What the model itself multiplies at the target, from its head dimensions and its tensors."""

from typing import Any

import pytest

from widthwise import Base, InvalidInputError, Plan, Target, Tensor, transfer
from widthwise.transfers.model_quantities import attention_factor


def plan(*tensors: Tensor, base: Base | None = None, target: Target | None = None, **more: Any) -> Plan:
    return transfer(
        parameterization="mup",
        optimizer="adam",
        base=base or Base(width=64, learning_rate=0.01),
        target=target or Target(width=256),
        tensors=tensors,
        **more,
    )


@pytest.mark.parametrize(
    ("base", "target", "value", "factor"),
    [
        ({"head_dim": 16}, {"head_dim": 64}, 4 / 64, 1 / 2),  # √d_base/d, and the code's 1/√d is 1/8
        ({"head_dim": 16, "attention_scale": 0.3}, {"head_dim": 64}, 0.3 / 4, 0.3 / 4 * 8),
        ({"head_dim": 16}, {"head_dim": 64, "attention_scale": 0.1}, 1 / 4 / 4, 1 / 16 / 0.1),
        ({"head_dim": 16, "attention_scale": 0.3}, {"head_dim": 64, "attention_scale": 0.3}, 0.3 / 4, 1 / 4),
        ({"head_dim": 16}, {"head_dim": 16}, 1 / 4, 1.0),
    ],
)
def test_query_times_key_shrinks_with_the_head_dimension_from_the_bases_own_scale(
    base: dict[str, Any], target: dict[str, Any], value: float, factor: float
) -> None:
    """∝ 1/d (2203.03466, definition 4.1); the multiplier is next to what the code multiplies by at the target."""
    found = plan(
        base=Base(width=64, learning_rate=0.01, **base), target=Target(width=256, **target)
    ).model.attention_scale
    assert found is not None
    assert (found.value, found.multiplier) == pytest.approx((value, factor))
    assert attention_factor(Base(**base), Target(**target)) == pytest.approx(factor)


def test_without_head_dimensions_or_with_normalised_queries_nothing_scales() -> None:
    heads = {"base": Base(width=64, learning_rate=0.01, head_dim=16), "target": Target(width=256, head_dim=64)}
    assert plan(base=heads["base"]).model.attention_scale is None
    assert plan(target=heads["target"]).model.attention_scale is None
    found = plan(**heads, qk_norm=True).model.attention_scale
    assert found is not None
    assert (found.value, found.multiplier) == (None, 1.0)


def test_embeddings_and_logits_have_the_multiplier_of_their_tensors_and_without_any_of_their_role() -> None:
    """muP multiplies embeddings by √fan_out and logits by 1/√fan_in: ×2 and ×½ for a width ×4."""
    by_role = plan().model
    assert by_role.embedding_multiplier is not None
    assert by_role.logit_multiplier is not None
    assert by_role.embedding_multiplier.multiplier == pytest.approx(2)
    assert by_role.logit_multiplier.multiplier == pytest.approx(1 / 2)
    table = Tensor("table", (99, 64), (99, 576), role="embedding")  # ×9
    head = Tensor("head", (99, 64), (99, 1024), role="readout")  # ×16
    other = Tensor("other", (99, 64), (99, 256), role="readout")
    by_tensor = plan(table, head).model
    assert by_tensor.embedding_multiplier is not None
    assert by_tensor.logit_multiplier is not None
    assert by_tensor.embedding_multiplier.multiplier == pytest.approx(3)
    assert by_tensor.logit_multiplier.multiplier == pytest.approx(1 / 4)
    assert plan(head, other).model.logit_multiplier is None  # not one
    assert plan(head, other).model.embedding_multiplier is None  # no tensor


def test_one_value_for_all_leaves_another_that_is_given_by_role_to_be_checked() -> None:
    table = Tensor("table", (99, 64), (99, 256), role="embedding")
    for given, field in (
        ({"learning_rate": 0.01, "epsilon": {"hidden": 1e-8}}, "base.epsilon"),
        ({"learning_rate": {"hidden": 0.01}, "epsilon": 1e-8}, "base.learning_rate"),
    ):
        with pytest.raises(
            InvalidInputError, match="no entry for role 'embedding', which tensor 'table' has"
        ) as raised:
            plan(table, base=Base(width=64, **given))
        assert raised.value.field == field
    assert plan(table, base=Base(width=64, learning_rate=0.01, epsilon={"embedding": 1e-8})).tensor("table").epsilon


@pytest.mark.parametrize(("omega", "drifts"), [(0.5, True), (0.99, True), (1.0, False)])
def test_few_outputs_drift_unless_the_readout_expects_the_worst_case(omega: float, *, drifts: bool) -> None:
    """At ω = 1 the features are slowed until the logits stay O(1)."""
    made = transfer(
        parameterization="standard",
        optimizer="adam",
        readout_omega=omega,
        base=Base(width=1024, learning_rate=0.01),
        target=Target(width=2048, output_dimension=10),
    )
    assert ("small_output_dimension" in [caution.code for caution in made.warnings]) is drifts
