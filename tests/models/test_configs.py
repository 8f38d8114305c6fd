"""What a config.json expands to is what transformers builds from it, name by name."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, PreTrainedConfig

from widthwise.reading.configs import KINDS, read_config

STREAM = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 80}
TEXT = {**STREAM, "vocab_size": 97, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {**TEXT, "num_key_value_heads": 2}
HEADS_APART = {**GROUPED, "head_dim": 16}  # their sizes do not add up to the width
SQUARE = {"image_size": 32, "patch_size": 8}
SEEING = {"text_config": HEADS_APART, "mm_tokens_per_image": 4, "image_token_index": 96}
LATENT = {
    **TEXT,
    "num_key_value_heads": 4,
    "q_lora_rank": 24,
    "kv_lora_rank": 20,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 10,
    "v_head_dim": 14,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "moe_intermediate_size": 36,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.7}
T5 = {"vocab_size": 97, "d_model": 48, "d_kv": 16, "d_ff": 80, "num_layers": 3, "num_heads": 5}
WHISPER = {
    "vocab_size": 97,
    "d_model": 48,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 80,
    "decoder_ffn_dim": 88,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}

#: By kind, configurations that a reading must expand as transformers does. The first of each is the usual one.
CONFIGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "llama": (
        GROUPED,
        {**HEADS_APART, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        {**TEXT, "architectures": ["LlamaModel"]},
    ),
    "qwen2": (GROUPED, {**GROUPED, "tie_word_embeddings": True}),
    "qwen3": (HEADS_APART, {**GROUPED, "attention_bias": True}),
    "qwen3_moe": (
        {**HEADS_APART, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 36},
        {**GROUPED, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 36, "mlp_only_layers": [1]},
        {**GROUPED, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 36, "decoder_sparse_step": 2},
    ),
    "mixtral": ({**GROUPED, "num_local_experts": 5}, {**HEADS_APART, "tie_word_embeddings": True}),
    "olmo2": (GROUPED, {**TEXT, "attention_bias": True}),
    "phi3": (GROUPED,),
    "gemma2": (HEADS_APART, {**HEADS_APART, "attn_logit_softcapping": None, "query_pre_attn_scalar": 12}),
    "gemma3_text": (HEADS_APART, {**HEADS_APART, "attention_bias": True, "tie_word_embeddings": False}),
    "gemma3": (
        {**SEEING, "vision_config": {**STREAM, **SQUARE, "hidden_size": 64}},
        {**SEEING, "vision_config": {**STREAM, **SQUARE, "vision_use_head": False}},
        {**SEEING, "vision_config": {**STREAM, **SQUARE}, "architectures": ["Gemma3Model"]},
    ),
    "deepseek_v3": (
        LATENT,
        {**LATENT, "q_lora_rank": None, "attention_bias": True},
        {**LATENT, "rope_parameters": YARN},
    ),
    "gpt_oss": ({**HEADS_APART, "num_local_experts": 5}, {**HEADS_APART, "attention_bias": False}),
    "gpt2": (
        {"vocab_size": 97, "n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 32},
        {"vocab_size": 97, "n_embd": 48, "n_layer": 3, "n_head": 4, "n_inner": 100, "tie_word_embeddings": False},
        {"n_embd": 48, "n_layer": 3, "n_head": 4, "scale_attn_by_inverse_layer_idx": True},
        {"n_embd": 48, "n_layer": 3, "n_head": 4, "scale_attn_weights": False},
    ),
    "gpt_neox": (TEXT, {**TEXT, "attention_bias": False, "architectures": ["GPTNeoXModel"]}),
    "mamba": (
        {**TEXT, "state_size": 8},
        {**TEXT, "time_step_rank": 6, "use_bias": True, "use_conv_bias": False, "expand": 3},
    ),
    "mamba2": (
        {**TEXT, "state_size": 8, "num_heads": 6, "head_dim": 16, "n_groups": 2},
        {**TEXT, "num_heads": 6, "head_dim": 16, "n_groups": 2, "use_bias": True, "use_conv_bias": False},
    ),
    "t5": (
        T5,
        {**T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 2, "tie_word_embeddings": False},
        {**T5, "architectures": ["T5Model"]},
        {**T5, "architectures": ["T5EncoderModel"]},
    ),
    "bert": (
        TEXT,
        {**TEXT, "architectures": ["BertModel"]},
        {**TEXT, "architectures": ["BertForPreTraining"]},
        {**TEXT, "architectures": ["BertForSequenceClassification"], "num_labels": 5},
    ),
    "vit": (
        {**STREAM, **SQUARE, "num_labels": 5},
        {**STREAM, "image_size": [32, 48], "patch_size": [8, 16], "qkv_bias": False, "num_channels": 1},
        {**STREAM, **SQUARE, "pooler_output_size": 20, "architectures": ["ViTModel"]},
    ),
    "dinov2": (
        {**STREAM, **SQUARE, "num_labels": 5},
        {**STREAM, **SQUARE, "use_swiglu_ffn": True, "mlp_ratio": 3, "use_mask_token": False},
        {**STREAM, **SQUARE, "architectures": ["Dinov2Model"]},
    ),
    "whisper": (
        WHISPER,
        {**WHISPER, "tie_word_embeddings": False, "max_source_positions": 20, "max_target_positions": 12},
        {**WHISPER, "architectures": ["WhisperModel"]},
    ),
    "clip": ({"text_config": TEXT, "vision_config": {**STREAM, **SQUARE, "hidden_size": 64}, "projection_dim": 20},),
}


#: Names of shared weights that are used as under their first name, so that a reading does not repeat them.
SAME_USE = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "cls.predictions.decoder.bias"}


def configuration(kind: str, fields: Mapping[str, Any]) -> PreTrainedConfig:
    config = CONFIG_MAPPING[kind](**fields)
    config.architectures = config.architectures or [next(iter(KINDS[kind].classes))]
    return config


def on_meta(config: PreTrainedConfig) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = getattr(transformers, config.architectures[0])(config)
    return model


def file_of(config: PreTrainedConfig) -> dict[str, Any]:
    """The config.json that transformers writes: it leaves defaults out."""
    found: dict[str, Any] = json.loads(config.to_json_string())
    return found


def test_every_kind_is_held_to_transformers() -> None:
    assert CONFIGS.keys() == KINDS.keys()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(kind, fields) for kind, several in CONFIGS.items() for fields in (*several, {})],
)
def test_names_shapes_and_ties_are_those_of_the_module(kind: str, fields: Mapping[str, Any]) -> None:
    config = configuration(kind, fields)
    model = on_meta(config)
    found = read_config(file_of(config))
    built = dict(model.named_parameters(remove_duplicate=False))
    owners = {name: next(first for first in built if built[first] is built[name]) for name in built}
    assert [(each.name, each.shape, each.tied_to or each.name) for each in found.parameters] == [
        (name, tuple(weight.shape), owners[name])
        for name, weight in built.items()
        if owners[name] == name or name not in SAME_USE
    ]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(kind, fields) for kind, several in CONFIGS.items() for fields in several],
)
def test_attentions_are_those_of_the_module(kind: str, fields: Mapping[str, Any]) -> None:
    config = configuration(kind, fields)
    scales: list[float] = [
        getattr(module, "scaling", None) or module.scale
        for name, module in on_meta(config).named_modules()
        if any(hasattr(module, projection) for projection in ("q_proj", "query", "q", "c_attn", "qkv_proj"))
        or hasattr(module, "query_key_value")
        or hasattr(module, "kv_b_proj")
    ]
    found = read_config(file_of(config)).attentions
    assert sorted(scale for each in found for scale in [each.scale] * each.count) == pytest.approx(sorted(scales))
