"""What attention with few keys or through latents, convolutions, patches, tokens, gates and state spaces get."""

import json
from pathlib import Path
from typing import Any

import pytest

from widthwise import Base, InvalidInputError, Tensor, transfer
from widthwise.transfers.plan import Plan
from widthwise.vocabulary import Role

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"

LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "num_hidden_layers": 1,
    "vocab_size": 100,
}
LATENT = {
    "model_type": "deepseek_v3",
    "hidden_size": 256,
    "intermediate_size": 512,
    "moe_intermediate_size": 128,
    "num_hidden_layers": 1,
    "first_k_dense_replace": 1,
    "num_attention_heads": 4,
    "kv_lora_rank": 32,
    "q_lora_rank": 48,
    "qk_nope_head_dim": 48,
    "qk_rope_head_dim": 16,
    "v_head_dim": 64,
    "vocab_size": 100,
}
VIT = {
    "model_type": "vit",
    "architectures": ["ViTModel"],
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "image_size": 32,
    "patch_size": 8,
    "num_channels": 3,
}
MAMBA = {"model_type": "mamba", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 100, "time_step_rank": 4}
MAMBA2 = {
    "model_type": "mamba2",
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "vocab_size": 100,
    "num_heads": 8,
    "head_dim": 16,
    "n_groups": 1,
}
ATTENTION = "model.layers.0.self_attn"


def of(config: dict[str, Any], *, parameterization: str = "mup", optimizer: str = "adamw", **changed: Any) -> Plan:
    return transfer(
        parameterization=parameterization,
        optimizer=optimizer,
        base=Base(learning_rate=1e-3, weight_decay=0.1),
        model={"base": config, "target": {**config, **changed}},
    )


def rates(plan: Plan, prefix: str, *names: str) -> list[float]:
    return [plan.tensor(f"{prefix}.{name}").learning_rate.multiplier for name in names]


# Attention.


@pytest.mark.parametrize("keys", [2, 4, 8])
def test_grouped_keys_and_values_follow_their_fan_in_alone(keys: int) -> None:
    """Width × 4: η × ¼ for queries, keys and values, however many heads of keys the target has."""
    found = of(LLAMA, hidden_size=1024, num_attention_heads=16, num_key_value_heads=keys)
    assert rates(found, ATTENTION, "q_proj.weight", "k_proj.weight", "v_proj.weight") == [0.25] * 3
    assert rates(found, ATTENTION, "o_proj.weight") == [0.25]
    assert found.tensor(f"{ATTENTION}.k_proj.weight").role is Role.HIDDEN
    scale = found.model.attention_scale
    assert scale is not None
    assert scale.multiplier == 1  # the head dim stays


def test_larger_heads_need_a_smaller_scale_once() -> None:
    found = of(LLAMA, hidden_size=1024, num_attention_heads=8, num_key_value_heads=2, head_dim=128)
    assert found.model.attention_scale is not None
    assert found.model.attention_scale.value == pytest.approx(64**0.5 / 128)
    assert found.model.attention_scale.multiplier == pytest.approx(0.5**0.5)
    assert "head_dim_changed" in {caution.code for caution in found.warnings}


def test_normalised_queries_and_keys_keep_their_scale() -> None:
    """Qwen3's: also where its heads grow."""
    small, large = (json.loads((CONFIGS / f"qwen3_{size}.json").read_text()) for size in ("0.6b", "4b"))
    large["head_dim"] = 2 * small["head_dim"]
    found = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(learning_rate=1e-3),
        model={"base": small, "target": large},
    )
    assert found.model.attention_scale is not None
    assert (found.model.attention_scale.value, found.model.attention_scale.multiplier) == (None, 1.0)
    growth = large["hidden_size"] / small["hidden_size"]
    expected = [pytest.approx(1 / growth)] * 3
    assert rates(found, ATTENTION, "q_proj.weight", "k_proj.weight", "v_proj.weight") == expected
    assert rates(found, ATTENTION, "q_norm.weight", "k_norm.weight") == [1.0, 1.0]


def test_latents_of_constant_rank_make_the_factor_of_what_reads_them_one() -> None:
    """MLA at width × 4: into the latents η × ¼, out of them × 1, output × ¼ of its heads' growth."""
    found = of(LATENT, hidden_size=1024, num_attention_heads=16)
    assert rates(found, ATTENTION, "q_a_proj.weight", "kv_a_proj_with_mqa.weight") == [0.25, 0.25]
    assert rates(found, ATTENTION, "q_b_proj.weight", "kv_b_proj.weight") == [1.0, 1.0]
    assert rates(found, ATTENTION, "q_a_layernorm.weight", "kv_a_layernorm.weight") == [1.0, 1.0]
    assert rates(found, ATTENTION, "o_proj.weight") == [0.25]
    assert {found.tensor(f"{ATTENTION}.{name}.weight").role for name in ("q_b_proj", "kv_b_proj")} == {Role.HIDDEN}


def test_latents_that_grow_divide_what_reads_them() -> None:
    found = of(LATENT, hidden_size=1024, num_attention_heads=16, kv_lora_rank=64, q_lora_rank=96)
    assert rates(found, ATTENTION, "q_b_proj.weight", "kv_b_proj.weight") == [0.5, 0.5]


def test_the_heads_of_latent_attention_are_plain_and_rotated_together() -> None:
    found = of(LATENT, qk_nope_head_dim=112)  # 64 → 128 with the 16 that are rotated
    assert found.model.attention_scale is not None
    assert found.model.attention_scale.value == pytest.approx(64**0.5 / 128)


# Convolutions, patches, tokens, gates.


def one(optimizer: str, base: tuple[int, ...], target: tuple[int, ...], **declared: Any) -> Any:
    return transfer(
        parameterization="mup",
        optimizer=optimizer,
        base=Base(learning_rate=1e-3),
        tensors=[Tensor("w", base, target, **declared)],
    ).tensor("w")


@pytest.mark.parametrize("optimizer", ["adamw", "muon_unit", "muon_keller", "muon_rms", "soap", "muon_sphere"])
@pytest.mark.parametrize("kernel", [(3, 3), (7,)])
@pytest.mark.parametrize("channels", [(256, 256), (512, 96)])
def test_a_convolution_is_the_matrix_of_its_flattened_kernel(optimizer, kernel, channels) -> None:
    """Out × in·k·k, as every Muon flattens it; with a constant kernel the ratios are those of the channels."""
    taps = 9 if kernel == (3, 3) else 7
    out, into = channels
    axes = {"fan_in_axes": list(range(1, 2 + len(kernel))), "fan_out_axes": [0]}
    conv = one(optimizer, (64, 64, *kernel), (out, into, *kernel), **axes)
    flat = one(optimizer, (64, 64 * taps), (out, into * taps), fan_in_axes=[1], fan_out_axes=[0])
    assert conv.quantities == flat.quantities
    assert conv.role is Role.HIDDEN


def test_patches_and_tokens_of_a_vision_transformer() -> None:
    """The kernel over pixels embeds: its fan-in stays, so η does; tokens and positions are like it, and not decayed."""
    found = of(VIT, hidden_size=256, intermediate_size=1024, num_attention_heads=16)
    embedded = [tensor for tensor in found.tensors if "embeddings." in tensor.name]
    lines = {tensor.name.partition("embeddings.")[2]: tensor for tensor in embedded}
    kernel = lines["patch_embeddings.projection.weight"]
    assert (kernel.role, kernel.fan_in, kernel.fan_out) == (Role.EMBEDDING, 3 * 8 * 8, 256)
    for name in ("patch_embeddings.projection.weight", "cls_token", "position_embeddings"):
        line = lines[name]  # of the form's multiplier and η, the product is what a step adds
        assert line.learning_rate.multiplier * line.forward_multiplier.multiplier == pytest.approx(1), name
    assert lines["cls_token"].weight_decay.value == lines["position_embeddings"].weight_decay.value == 0
    assert kernel.weight_decay.value


def test_gates_are_matrices_like_those_that_they_gate() -> None:
    found = of(LLAMA, hidden_size=1024, intermediate_size=4096, num_attention_heads=16)
    gate, up = (found.tensor(f"model.layers.0.mlp.{name}_proj.weight") for name in ("gate", "up"))
    assert gate.quantities == up.quantities
    assert rates(found, "model.layers.0.mlp", "gate_proj.weight", "down_proj.weight") == [0.25, 0.125]
    scalar = one("adamw", (1,), (1,), role="scalar")  # of a branch or a residual stream
    assert {quantity.multiplier for quantity in scalar.quantities.values()} == {1.0}


# State spaces.


@pytest.mark.parametrize(
    ("config", "changed"), [(MAMBA, {"hidden_size": 256}), (MAMBA2, {"hidden_size": 256, "num_heads": 32})]
)
def test_a_wider_state_space_is_refused_under_mup_and_offered_otherwise(config, changed) -> None:
    for parameterization in ("mup", "mean_field"):
        with pytest.raises(InvalidInputError, match="state-space") as error:
            of(config, parameterization=parameterization, **changed)
        assert error.value.field == "parameterization"
    found = of(config, parameterization="standard", **changed)
    mixer = "backbone.layers.0.mixer"
    assert rates(found, mixer, "in_proj.weight", "out_proj.weight") == [0.25, 0.25]
    vectors = ["A_log", "D", "conv1d.weight", "conv1d.bias"]
    assert rates(found, mixer, *vectors) == [1.0] * 4  # as 1-D tensors
    assert {found.tensor(f"{mixer}.{name}").role for name in vectors} == {Role.VECTOR}


def test_a_deeper_state_space_is_offered_under_mup() -> None:
    assert rates(of(MAMBA, num_hidden_layers=4), "backbone.layers.3.mixer", "in_proj.weight") == [1.0]
    part = {"part": "state_space", "fan_in_axes": [1], "fan_out_axes": [0]}
    with pytest.raises(InvalidInputError, match="state-space"):
        one("adamw", (64, 64), (128, 128), **part)
    assert one("adamw", (64, 64), (64, 64), **part).learning_rate.multiplier == 1
