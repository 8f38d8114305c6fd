"""A config.json says of every parameter what a trace of the model finds, for base and target alike."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from tests.models.test_configs import CONFIGS, configuration, file_of
from widthwise.reading.configs import KINDS, read_config
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.torch import trace

BATCH, TOKENS = 3, 7

#: Sizes that the target multiplies by two. All others stay.
GROWING = {
    *("hidden_size", "intermediate_size", "moe_intermediate_size", "num_attention_heads", "num_key_value_heads"),
    *("num_hidden_layers", "n_embd", "n_inner", "n_head", "n_layer", "d_model", "d_ff", "num_heads", "num_layers"),
    *("encoder_layers", "encoder_attention_heads", "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim"),
}


def grown(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: grown(value) if isinstance(value, dict) else 2 * value if key in GROWING and value else value
        for key, value in fields.items()
    }


def sides(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def inputs(kind: str, config: Any) -> dict[str, torch.Tensor]:
    """What the forward pass takes: random tokens, pictures or spectrograms."""
    numbers = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, 90, (BATCH, TOKENS), generator=numbers)
    text = {"input_ids": tokens}
    match kind:
        case "vit" | "dinov2":
            height, width = sides(config.image_size)
            return {"pixel_values": torch.rand(BATCH, config.num_channels, height, width, generator=numbers)}
        case "clip":
            text["pixel_values"] = torch.rand(BATCH, 3, 32, 32, generator=numbers)
        case "gemma3":
            tokens[:, 1:5] = config.image_token_index
            text["pixel_values"] = torch.rand(BATCH, 3, 32, 32, generator=numbers)
            text["token_type_ids"] = (tokens == config.image_token_index).long()
        case "whisper":
            frames = torch.rand(BATCH, config.num_mel_bins, 2 * config.max_source_positions, generator=numbers)
            return {"input_features": frames, "decoder_input_ids": tokens}
        case "t5" if config.architectures != ["T5EncoderModel"]:
            text["decoder_input_ids"] = tokens[:, :5]
        case "bert":
            text["token_type_ids"] = tokens % 2
    return text


def small(config: Any) -> nn.Module:
    config.use_cache = False
    config._attn_implementation = "eager"  # the other one leaves GPT-OSS's sinks out
    model: nn.Module = getattr(transformers, config.architectures[0])(config)
    return model


def placed(parameter: Parameter) -> tuple[Any, ...]:
    return (
        parameter.shape,
        parameter.use,
        parameter.role,
        parameter.fan_in_axes,
        parameter.fan_out_axes,
        parameter.stack_axes,
        parameter.tied_to,
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(kind, fields) for kind in KINDS for fields in (*CONFIGS[kind], grown(CONFIGS[kind][0]))],
)
def test_every_parameter_is_placed_as_a_trace_places_it(kind: str, fields: Mapping[str, Any]) -> None:
    config = configuration(kind, fields)
    stated = read_config(file_of(config))
    found = trace(small(config), inputs(kind, config))
    assert stated.by_name.keys() == found.by_name.keys()
    # what a pass leaves unused, a config may know: DINOv2's mask token, the pooling of Gemma 3's tower
    differing = {
        each.name: (placed(each), placed(found[each.name]))
        for each in stated.parameters
        if found[each.name].use is not ParameterUse.UNUSED and placed(each) != placed(found[each.name])
    }
    assert differing == {}
