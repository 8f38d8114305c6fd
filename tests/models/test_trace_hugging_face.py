"""A Llama and a GPT-2 of transformers, small and at full size on the meta device, read from a forward pass."""

from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from widthwise.reading.parameter import ParameterUse
from widthwise.torch import trace
from widthwise.vocabulary import Role

IDS = {"input_ids": torch.arange(5, 23).reshape(3, 6)}


def causal_lm(kind: str, **sizes: Any) -> Any:
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](vocab_size=97, **sizes))


def llama(**sizes: Any) -> Any:
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    return causal_lm("llama", **{**small, "intermediate_size": 80, **sizes})


def gpt2() -> Any:
    return causal_lm("gpt2", n_embd=48, n_layer=2, n_head=4)


def test_llama() -> None:
    reading = trace(llama(), IDS)
    for name, parameter in reading.by_name.items():
        if "norm" in name:
            assert (parameter.use, parameter.role) == (ParameterUse.GAIN, Role.VECTOR)
        elif "proj" in name:
            assert (parameter.use, parameter.role) == (ParameterUse.CONTRACTION, Role.HIDDEN)
            assert (parameter.fan_in_axes, parameter.fan_out_axes) == ((1,), (0,))
    assert reading["model.embed_tokens.weight"].role is Role.EMBEDDING
    assert reading["lm_head.weight"].role is Role.READOUT
    assert len(reading.parameters) == len(list(llama().parameters()))


def test_gpt2_has_matrices_of_the_other_layout_and_a_tied_table() -> None:
    reading = trace(gpt2(), IDS)
    fused = reading["transformer.h.0.attn.c_attn.weight"]
    assert (fused.fan_in_axes, fused.fan_out_axes, fused.role) == ((0,), (1,), Role.HIDDEN)
    places = reading["transformer.wpe.weight"]
    assert (places.use, places.role) == (ParameterUse.POSITION, Role.EMBEDDING)
    head = reading["lm_head.weight"]
    assert (head.role, head.tied_to) == (Role.READOUT, "transformer.wte.weight")
    assert (head.fan_in_axes, head.fan_out_axes) == ((1,), (0,))


@pytest.mark.parametrize("make", [llama, gpt2])
def test_a_model_without_memory_reads_like_a_real_one(make: Any) -> None:
    with torch.device("meta"):
        without_memory = make()
    there, here = trace(without_memory, IDS), trace(make(), IDS)
    assert [(p.name, p.use, p.role, p.fan_in_axes) for p in there.parameters] == [
        (p.name, p.use, p.role, p.fan_in_axes) for p in here.parameters
    ]
