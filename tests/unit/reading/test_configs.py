"""A config.json expands to the tensors of the model, without torch."""

from collections.abc import Mapping
from typing import Any

import pytest

from widthwise import Base, TransferRequest
from widthwise.errors import InvalidInputError
from widthwise.reading.configs import KINDS, read_config
from widthwise.reading.model import Attention, CodeMultiplier, Place
from widthwise.reading.parameter import Block, Feeds, ParameterUse
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Role

SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def small(model_type: str, **fields: Any) -> Mapping[str, Any]:
    return {"model_type": model_type, **SMALL, **fields}


def test_a_small_llama_has_the_recorded_tensors() -> None:
    found = read_config(small("llama"))
    block = {
        "self_attn.q_proj.weight": (32, 32),
        "self_attn.k_proj.weight": (16, 32),
        "self_attn.v_proj.weight": (16, 32),
        "self_attn.o_proj.weight": (32, 32),
        "mlp.gate_proj.weight": (80, 32),
        "mlp.up_proj.weight": (80, 32),
        "mlp.down_proj.weight": (32, 80),
        "input_layernorm.weight": (32,),
        "post_attention_layernorm.weight": (32,),
    }
    assert [(each.name, each.shape) for each in found.parameters] == [
        ("model.embed_tokens.weight", (96, 32)),
        *((f"model.layers.{number}.{name}", shape) for number in range(2) for name, shape in block.items()),
        ("model.norm.weight", (32,)),
        ("lm_head.weight", (96, 32)),
    ]
    assert found.attentions == (Attention("model.layers.0.self_attn", 2, 8, 8**-0.5),)
    assert (found.blocks, found.width) == ((2,), 32)


def test_a_small_gpt2_has_matrices_in_out_and_a_tied_head() -> None:
    found = read_config({"model_type": "gpt2", "vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4})
    fused = found["transformer.h.1.attn.c_attn.weight"]
    assert (fused.shape, fused.fan_in_axes, fused.fan_out_axes) == ((32, 96), (0,), (1,))
    assert [(part.feeds, part.axis, part.indices) for part in fused.parts] == [
        (Feeds.QUERY, 1, (slice(0, 32),)),
        (Feeds.KEY, 1, (slice(32, 64),)),
        (Feeds.VALUE, 1, (slice(64, 96),)),
    ]
    assert fused.block == Block(0, 1)
    head = found["lm_head.weight"]
    assert (head.tied_to, head.role) == ("transformer.wte.weight", Role.READOUT)
    assert found["transformer.wpe.weight"].use is ParameterUse.POSITION
    assert found["transformer.wpe.weight"].shape == (1024, 32)  # the default


def test_experts_of_mixtral_are_stacked_and_its_router_is_hidden() -> None:
    found = read_config(small("mixtral"))
    experts = found["model.layers.0.mlp.experts.gate_up_proj"]
    assert (experts.shape, experts.stack_axes, experts.fan_in_axes, experts.fan_out_axes) == (
        (8, 160, 32),
        (0,),
        (2,),
        (1,),
    )
    assert [part.feeds for part in experts.parts] == [Feeds.GATE, Feeds.UP]
    router = found["model.layers.0.mlp.gate.weight"]
    assert (router.role, router.feeds) == (Role.HIDDEN, Feeds.ROUTER)


@pytest.mark.parametrize("model_type", KINDS)
def test_every_kind_reads_its_defaults_and_places_every_axis_once(model_type: str) -> None:
    found = read_config({"model_type": model_type})
    assert len(found.by_name) == len(found.parameters) > 20
    for each in found.parameters:
        axes = (*each.fan_in_axes, *each.fan_out_axes, *each.stack_axes)
        assert sorted(axes) == list(range(len(each.shape))), each.name
        assert (each.role is None) == (each.question is not None), each.name
        assert each.evidence
        if each.tied_to is not None:
            owner = found[each.tied_to]
            assert (owner.shape, owner.tied_to) == (each.shape, None)
        for part in each.parts:
            size = each.shape[part.axis]
            assert all(0 <= one.start < one.stop <= size for one in part.indices), each.name
    assert all(found.blocks)
    assert {name for multiplier in found.multipliers for name in multiplier.parameters} <= found.by_name.keys()


def test_a_class_without_a_head_has_none() -> None:
    found = read_config(small("llama", architectures=["LlamaModel"]))
    assert [each.name for each in found.parameters if each.role is Role.READOUT] == []
    assert found.parameters[0].name == "embed_tokens.weight"


def test_the_scale_by_layer_makes_attentions_of_several_kinds() -> None:
    found = read_config({"model_type": "gpt2", "n_layer": 2, "scale_attn_by_inverse_layer_idx": True})
    assert [(each.count, each.scale) for each in found.attentions] == [(1, 0.125), (1, 0.0625)]


@pytest.mark.parametrize(
    ("config", "field", "says"),
    [
        ({}, "config.model_type", "llama"),
        ({"model_type": "lama"}, "config.model_type", "gpt2.*llama.*mixtral"),
        ({"model_type": ["llama"]}, "config.model_type", "llama"),
        ([], "config", "give an object"),
        (small("llama", architectures=[["LlamaModel"]]), "config.architectures", "LlamaForCausalLM"),
        (small("llama", hidden_size="32"), "config.hidden_size", "give an integer"),
        (small("llama", hidden_size=0), "config.hidden_size", "give an integer"),
        (small("llama", num_hidden_layers=10**6), "config.num_hidden_layers", "to 1000"),
        (small("llama", num_attention_heads=6), "config.num_attention_heads", "divisor of hidden_size"),
        (small("llama", num_key_value_heads=3), "config.num_key_value_heads", "divisor of the 4 heads"),
        (small("llama", architectures=["GPT2Model"]), "config.architectures", "LlamaForCausalLM"),
        (small("llama", architectures="LlamaModel"), "config.architectures", "give a list"),
        ({"model_type": "gpt2", "add_cross_attention": True}, "config.add_cross_attention", "only False is understood"),
    ],
)
def test_what_is_not_understood_is_refused_by_field(config: Mapping[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as refusal:
        read_config(config)
    assert refusal.value.field == field


def test_gemma_states_what_its_code_multiplies() -> None:
    found = read_config(small("gemma2", head_dim=16, query_pre_attn_scalar=64))
    assert found.multipliers == (CodeMultiplier(Place.EMBEDDING, 32**0.5, ("model.embed_tokens.weight",)),)
    assert found.attentions == (Attention("model.layers.0.self_attn", 2, 16, 0.125, soft_cap=True),)
    (third,) = read_config(small("gemma3_text", head_dim=16)).attentions
    assert (third.scale, third.normalized, third.soft_cap) == (1 / 16, True, False)


def test_t5_has_two_chains_no_scale_and_a_bias_outside_its_blocks() -> None:
    found = read_config({"model_type": "t5", "num_layers": 2, "num_decoder_layers": 3})
    assert found.blocks == (2, 3)
    assert found.attentions == (Attention("encoder.block.0.layer.0.SelfAttention", 2 + 2 * 3, 64, 1.0),)
    assert found["decoder.block.2.layer.1.EncDecAttention.k.weight"].block == Block(1, 2)
    assert found["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].block is None
    assert found.multipliers == (CodeMultiplier(Place.LOGITS, 512**-0.5, ("lm_head.weight",)),)
    assert read_config({"model_type": "t5", "tie_word_embeddings": False}).multipliers == ()  # T5 1.1


def test_every_head_of_neox_has_its_own_query_key_and_value() -> None:
    found = read_config(small("gpt_neox", num_key_value_heads=None))
    query, key, value = found["gpt_neox.layers.0.attention.query_key_value.weight"].parts
    assert query.indices == (slice(0, 8), slice(24, 32), slice(48, 56), slice(72, 80))
    assert (key.indices[0], value.indices[0]) == (slice(8, 16), slice(16, 24))


def test_gate_and_up_take_turns_in_gpt_oss() -> None:
    found = read_config(small("gpt_oss"))
    gate, up = found["model.layers.0.mlp.experts.gate_up_proj"].parts
    assert (gate.axis, gate.indices, up.indices) == (2, (slice(0, 160, 2),), (slice(1, 160, 2),))


def test_yarn_stretches_the_scale_of_deepseek() -> None:
    rope = {"type": "yarn", "factor": 40, "mscale_all_dim": 1.0}
    plain, stretched = (read_config({"model_type": "deepseek_v3", **more}) for more in ({}, {"rope_scaling": rope}))
    assert plain.attentions[0].scale == 192**-0.5
    assert stretched.attentions[0].scale == pytest.approx(0.1352337788608801, rel=1e-12)  # DeepSeek-V3's module


def test_what_two_towers_are_compared_by_stays_open() -> None:
    found = read_config({"model_type": "clip"})
    assert [each.name for each in found.parameters if each.question] == [
        "visual_projection.weight",
        "text_projection.weight",
    ]
    assert found.width is None
    assert found.blocks == (12, 12)


def test_older_files_of_clip_state_a_tower_twice_and_the_later_statement_counts() -> None:
    found = read_config(
        {"model_type": "clip", "text_config": {"hidden_size": 64}, "text_config_dict": {"hidden_size": 128}}
    )
    assert found["text_projection.weight"].shape == (512, 128)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"model_type": "vit", "image_size": "224"}, "config.image_size"),
        ({"model_type": "vit", "image_size": [224]}, "config.image_size"),
        ({"model_type": "mamba", "expand": 1e300}, "config"),
        ({"model_type": "clip", "text_config": 3}, "config.text_config"),
        ({"model_type": "clip", "text_config": {"hidden_size": -1}}, "config.text_config.hidden_size"),
        ({"model_type": "gemma3", "vision_config": {"model_type": "x"}}, "config.vision_config.model_type"),
        ({"model_type": "mamba2", "num_heads": 3}, "config.num_heads"),
        ({"model_type": "mamba", "time_step_rank": "all"}, "config.time_step_rank"),
        ({"model_type": "mamba", "expand": 0.0001}, "config"),
        ({"model_type": "bert", "id2label": []}, "config.id2label"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(config: Mapping[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read_config({"architectures": ["BertForSequenceClassification"], **config} if "id2label" in config else config)
    assert refusal.value.field == field


#: Fields that grow with the width; the rest stays.
WIDTHS = (
    *("hidden_size", "intermediate_size", "moe_intermediate_size", "num_attention_heads", "num_key_value_heads"),
    *("n_embd", "n_head", "d_model", "d_ff", "num_heads", "encoder_attention_heads", "decoder_attention_heads"),
    *("encoder_ffn_dim", "decoder_ffn_dim"),
)
DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers")


def grown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Twice the width and the depth."""
    return {key: 2 * value if key in (*WIDTHS, *DEPTHS) else value for key, value in fields.items()}


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"clip", "gemma3"}))  # their widths are those of towers
def test_two_configs_of_one_kind_make_a_plan(name: str) -> None:
    sizes = KINDS[name].defaults
    base, target = (read_config({"model_type": name, **fields}) for fields in (sizes, grown(sizes)))
    request = TransferRequest.of_models(
        base, target, base=Base(learning_rate=1e-3), parameterization="standard", optimizer="adamw"
    )
    plan = plan_of(request)
    assert [tensor.name for tensor in plan.tensors] == [each.name for each in target.parameters]
    assert target.width == 2 * (base.width or 0)
    for each in target.parameters:
        if (
            each.role is Role.HIDDEN
            and each.feeds in (Feeds.QUERY, Feeds.UP)
            and not each.name.endswith("q_b_proj.weight")
        ):
            assert plan.tensor(each.name).learning_rate.multiplier == 0.5, each.name
