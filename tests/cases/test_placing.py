"""Situations in which an answer was once wrong, or wrong in silence: where tensors stand, and what the values mean.

`placing.json` holds the requests. Each test derives its numbers; m is the ratio of the widths.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from widthwise import Exponents, InvalidInputError, Plan, Role, UnplacedTensorsError
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of

REQUESTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "placing.json").read_text(encoding="utf-8"))


def case(name: str, tensors: dict[str, dict[str, Any]] | None = None, **changes: Any) -> Plan:
    """The answer to a case; tensors: by name, what a user adds after a refusal."""
    asked = {**REQUESTS[name], **changes}
    if tensors:
        asked["tensors"] = [{**tensor, **tensors.get(tensor["name"], {})} for tensor in asked["tensors"]]
    return plan_of(TransferRequest.from_dict(asked))


def codes(plan: Plan) -> set[str]:
    return {warning.code for warning in plan.warnings}


def test_gains_stacked_over_the_stated_layers_are_gains() -> None:
    # [16, 2048] → [32, 4096] with depth 16 → 32: the first axis counts layers. A gain has a = b = 0, so Adam's c = 0.
    plan = case("stacked-gains")
    stacked, final = plan.tensor("layers/pre_norm/scale"), plan.tensor("decoder_norm/scale")
    assert stacked.role is final.role is Role.VECTOR
    for name in ("learning_rate", "init_std", "weight_decay", "gradient_rms"):
        assert getattr(stacked, name) == getattr(final, name)
    assert stacked.learning_rate.multiplier == stacked.init_std.multiplier == stacked.weight_decay.multiplier == 1
    assert plan.tensor("layers/attn/query/kernel").learning_rate.multiplier == 0.5  # hidden: 1/m


def test_gains_stacked_over_layers_that_nobody_stated_are_refused_with_the_word_vector() -> None:
    without_depth = {"base": {"width": 2048, "learning_rate": 4e-4}, "target": {"width": 4096}}
    with pytest.raises(UnplacedTensorsError, match=r"pre_norm.*vector.*axes") as refusal:
        case("stacked-gains", **without_depth)
    assert [name for name, _ in refusal.value.problems] == ["layers/pre_norm/scale"]
    settled = case("stacked-gains", {"layers/pre_norm/scale": {"role": "vector"}}, **without_depth)
    assert settled.tensor("layers/pre_norm/scale").learning_rate.multiplier == 1


def test_stacked_gains_of_as_many_layers_are_refused_with_the_word_vector() -> None:
    with pytest.raises(UnplacedTensorsError) as refusal:
        case("stacked-gains-refused")
    assert [name for name, _ in refusal.value.problems] == ["ln1w", "qkvb"]
    for _, problem in refusal.value.problems:
        assert all(role in problem for role in ("vector", "embedding", "readout", "hidden"))
    plan = case("stacked-gains-refused", {name: {"role": "vector"} for name in ("ln1w", "qkvb")})
    assert plan.tensor("ln1w").learning_rate.multiplier == plan.tensor("qkvb").learning_rate.multiplier == 1


def test_a_position_table_that_grows_as_the_width_does_is_no_matrix() -> None:
    # [512, 256] → [2048, 1024]: two widths side by side would grow alike. Nor does the router's axis occur elsewhere.
    with pytest.raises(UnplacedTensorsError, match="positions") as refusal:
        case("positions-grow")
    assert [name for name, _ in refusal.value.problems] == ["position", "router"]
    plan = case("positions-grow", {"position": {"role": "embedding"}, "router": {"role": "hidden"}})
    position = plan.tensor("position")
    # Table 8 of muP: an embedding has c = 0 under Adam, b = 0
    assert (position.learning_rate.multiplier, position.init_std.multiplier) == (1, 1)
    assert plan.tensor("q").learning_rate.multiplier == 0.25


@pytest.mark.parametrize("name", ["cls_token", "pos_embed", "register_tokens", "mask_token"])
def test_a_declared_role_settles_a_tensor_of_three_axes(name: str) -> None:
    token = case("tokens-3d").tensor(name)
    assert (token.role, token.learning_rate.multiplier, token.init_std.multiplier) == (Role.EMBEDDING, 1, 1)


def test_a_matrix_that_does_not_grow_is_hidden_and_named() -> None:
    plan = case("no-growth-is-not-scalar")
    forgotten = plan.tensor("gnn.layers.0.mpnn.edge_model.fc.0.weight")
    assert forgotten.role is Role.HIDDEN
    assert {quantity.multiplier for quantity in forgotten.quantities.values()} == {1.0}
    assert plan.tensor("gnn.layers.0.mpnn.edge_model.fc.0.bias").role is Role.SCALAR  # no fan-in, and no growth
    (caution,) = [warning for warning in plan.warnings if warning.code == "constant_matrices"]
    assert caution.message.startswith("gnn.layers.0.mpnn.edge_model.fc.0.weight: ")


def test_a_fan_in_of_growing_and_constant_features_raises_no_alarm() -> None:
    # 160 = 2·64 + 32 → 544 = 2·256 + 32, fan-out 256 → 1024. muP, Adam: η ∝ 1/fan_in. Init std ∝ 1/√fan_in and
    # × min(1, √(fan_out/fan_in)), which is 1 at both ends: √(160/544).
    plan = case("concatenated-fan-in")
    joined = plan.tensor("edge_model.fc.0.weight")
    assert joined.learning_rate.multiplier == pytest.approx(160 / 544) == pytest.approx(0.2941, abs=5e-5)
    assert joined.init_std.multiplier == pytest.approx(math.sqrt(160 / 544)) == pytest.approx(0.5423, abs=5e-5)
    assert codes(plan) <= {"small_output_dimension"}


def test_a_multiplier_that_the_code_computes_moves_every_value() -> None:
    # Tied, standard, Adam, m = 4: std × 1, η × 1/√m, logits × 1/√m. The code's √d is θ = −½ of the shared weights:
    # b + ½ and c + ½, and the logits, which it does not multiply, a − ½.
    table = [{"tensors": ["shared.weight"], "power": 0.5, "of": "fan_out"}]
    plan = case("code-multiplies", code_multipliers=table)
    shared, logits = plan.tensor("shared.weight"), plan.tensor("softmax.weight")
    assert shared.init_std.multiplier == logits.init_std.multiplier == 0.5
    assert shared.learning_rate.multiplier == logits.learning_rate.multiplier == 0.25
    assert (shared.forward_multiplier.multiplier, logits.forward_multiplier.multiplier) == (1, 1)
    for frozen in (case("code-multiplies"), case("code-multiplies", code_multipliers=[{**table[0], "frozen": True}])):
        assert frozen.tensor("shared.weight").learning_rate.multiplier == 0.5
        assert frozen.tensor("softmax.weight").forward_multiplier.multiplier == 0.5


def test_the_attention_scale_follows_the_head_size() -> None:
    # Trained queries and keys align: query·key ∝ d, so the scale is √8/32 at d = 32, which is 1/√8 at the base. The
    # code's 1/√32 lacks √(8/32).
    plan = case("attention-scale")
    scale = plan.model.attention_scale
    assert scale is not None
    assert (scale.multiplier, scale.value) == (0.5, pytest.approx(math.sqrt(8) / 32))
    (caution,) = [warning for warning in plan.warnings if warning.code == "head_dim_changed"]
    assert "√8/32, ×0.5" in caution.message
    assert plan.model.logit_multiplier is not None
    assert plan.model.logit_multiplier.multiplier == plan.tensor("head.weight").forward_multiplier.multiplier == 0.25
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    normalized = case("attention-scale", qk_norm=True).model.attention_scale
    assert normalized is not None
    assert (normalized.multiplier, normalized.value) == (1.0, None)


def test_a_table_without_a_head_asks_for_the_tie() -> None:
    plan = case("tie-lost")
    (caution,) = [warning for warning in plan.warnings if warning.code == "no_readout"]
    assert "tied?" in caution.message
    # With the head: standard, Adam: as a readout the table needs η ∝ 1/√m once its init is moved to the embedding's, so
    # × 0.5 for m = 4, and the logits × 1/√m.
    tensors = REQUESTS["tie-lost"]["tensors"]
    head = {**tensors[0], "name": "lm_head.weight", "role": "readout", "tied_to": "transformer.wte.weight"}
    tied = plan_of(TransferRequest.from_dict({**REQUESTS["tie-lost"], "tensors": [*tensors, head]}))
    assert tied.tensor("transformer.wte.weight").learning_rate.multiplier == 0.5
    assert tied.tensor("lm_head.weight").forward_multiplier.multiplier == 0.5
    assert "tied_conflict" in codes(tied)
    assert "no_readout" not in codes(tied)


def test_roles_left_out_of_the_decay_are_not_decayed() -> None:
    plan = case("decay-by-role")
    assert plan.tensor("norm.weight").weight_decay.value == 0.0
    assert plan.tensor("fc.weight").weight_decay.value == pytest.approx(0.2)  # η·λ is kept, η × 1/2


@pytest.mark.parametrize("name", ["learning_rate", "epsilon"])
def test_a_role_left_out_where_a_value_is_needed_is_refused(name: str) -> None:
    base = {**REQUESTS["decay-by-role"]["base"], name: {"hidden": 1e-3}}
    with pytest.raises(InvalidInputError, match=r"no entry for role 'vector'.*norm\.weight") as refusal:
        case("decay-by-role", base=base)
    assert refusal.value.field == f"base.{name}"


def test_a_shift_without_a_stated_width_is_refused_and_no_caution_makes_one_up() -> None:
    asked = TransferRequest.from_dict(REQUESTS["shift-without-width"])
    with pytest.raises(InvalidInputError) as refusal:
        plan_of(replace(asked, exponents=Exponents(shift=64.0, source="calibration")))
    assert refusal.value.field == "base.width"
    plan = plan_of(asked)
    assert not any("36" in warning.message or "width 1" in warning.message for warning in plan.warnings)
    assert "small_base_width" not in codes(plan)


def test_a_gradient_that_underflows_is_answered() -> None:
    # 5e-324 × m^(−1/2) rounds to zero: any epsilon is above it
    plan = case("underflowing-rms")
    assert "epsilon_near_gradient" in codes(plan)
    assert json.dumps(plan.to_dict(), allow_nan=False)
