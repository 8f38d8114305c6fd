"""Mamba and Mamba-2: state spaces between a matrix in and a matrix out."""

import math

from widthwise.fields import Fields
from widthwise.reading.configs.kind import ModelKind, Outliner, depth, language_model
from widthwise.reading.configs.outline import Outline, as_part, chain, together, under
from widthwise.reading.configs.weights import added, depthwise, gain, linear, norm, table
from widthwise.vocabulary import TensorPart


def _body(mixer: Outliner) -> Outliner:
    def body(config: Fields) -> Outline:
        width = config.integer("hidden_size")
        return together(
            table("embeddings", config.integer("vocab_size"), width),
            chain("layers", depth(config), lambda _index: together(norm("norm", width), under("mixer", mixer(config)))),
            norm("norm_f", width),
        )

    return body


def _mixing(name: str, fan_in: int, fan_out: int, *, bias: bool = False) -> Outline:
    """Return a matrix around the state space, which no rule of muP covers."""
    return as_part(linear(name, fan_in, fan_out, bias=bias), TensorPart.STATE_SPACE)


def _channels(config: Fields) -> int:
    return int(config.positive("expand") * config.integer("hidden_size"))


def _mamba(config: Fields) -> Outline:
    width, states = config.integer("hidden_size"), config.integer("state_size")
    channels = config.integer("intermediate_size") if config.has("intermediate_size") else _channels(config)
    rank = math.ceil(width / 16) if config.any("time_step_rank") == "auto" else config.integer("time_step_rank")
    bias = config.flag("use_bias")
    return together(
        gain("A_log", channels, states),
        gain("D", channels),
        depthwise("conv1d", channels, config.integer("conv_kernel"), bias=config.flag("use_conv_bias")),
        _mixing("in_proj", width, 2 * channels, bias=bias),
        _mixing("x_proj", channels, rank + 2 * states),
        _mixing("dt_proj", rank, channels, bias=True),
        _mixing("out_proj", channels, width, bias=bias),
    )


def _mamba2(config: Fields) -> Outline:
    width, channels, heads = config.integer("hidden_size"), _channels(config), config.integer("num_heads")
    if channels != heads * config.integer("head_dim"):
        raise config.error("num_heads", f"is {heads}; give expand × hidden_size / head_dim")
    mixed = channels + 2 * config.integer("n_groups") * config.integer("state_size")
    bias = config.flag("use_bias")
    return together(
        added("dt_bias", heads),
        gain("A_log", heads),
        gain("D", heads),
        depthwise("conv1d", mixed, config.integer("conv_kernel"), bias=config.flag("use_conv_bias")),
        _mixing("in_proj", width, channels + mixed + heads, bias=bias),
        norm("norm", channels),
        _mixing("out_proj", channels, width, bias=bias),
    )


_BODY, _BODY2 = _body(_mamba), _body(_mamba2)

MAMBA = ModelKind(
    "mamba",
    defaults={
        "vocab_size": 50280,
        "hidden_size": 768,
        "num_hidden_layers": 32,
        "state_size": 16,
        "expand": 2,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_rank": "auto",
        "tie_word_embeddings": True,
    },
    classes={
        "MambaForCausalLM": language_model(_BODY, path="backbone", table="embeddings"),
        "MambaModel": _BODY,
    },
)
MAMBA2 = ModelKind(
    "mamba2",
    defaults={
        "vocab_size": 32768,
        "hidden_size": 4096,
        "num_hidden_layers": 64,
        "num_heads": 128,
        "head_dim": 64,
        "n_groups": 8,
        "state_size": 128,
        "expand": 2,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "tie_word_embeddings": False,
    },
    classes={
        "Mamba2ForCausalLM": language_model(_BODY2, path="backbone", table="embeddings"),
        "Mamba2Model": _BODY2,
    },
)
