"""A config.json expands to the tensors of the model, without torch."""

from collections.abc import Mapping
from typing import Any

import pytest

from widthwise.errors import InvalidInputError
from widthwise.reading.configs import KINDS, read_config
from widthwise.reading.model import Attention
from widthwise.reading.parameter import Block, Feeds, ParameterUse
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
