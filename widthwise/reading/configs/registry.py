"""The kinds of model whose config.json is understood."""

from collections.abc import Mapping
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.fields import Fields
from widthwise.reading.configs.bert import BERT
from widthwise.reading.configs.clip import CLIP
from widthwise.reading.configs.deepseek import DEEPSEEK_V3
from widthwise.reading.configs.gemma import GEMMA2, GEMMA3, GEMMA3_TEXT
from widthwise.reading.configs.gpt2 import GPT2
from widthwise.reading.configs.gpt_neox import GPT_NEOX
from widthwise.reading.configs.gpt_oss import GPT_OSS
from widthwise.reading.configs.kind import ModelKind
from widthwise.reading.configs.llama import LLAMA, MIXTRAL, OLMO2, QWEN2, QWEN3, QWEN3_MOE
from widthwise.reading.configs.mamba import MAMBA, MAMBA2
from widthwise.reading.configs.phi3 import PHI3
from widthwise.reading.configs.t5 import T5
from widthwise.reading.configs.vision import DINOV2, VIT
from widthwise.reading.configs.whisper import WHISPER
from widthwise.reading.model import ModelReading

KINDS: Mapping[str, ModelKind] = {
    kind.name: kind
    for kind in (
        LLAMA,
        QWEN2,
        QWEN3,
        QWEN3_MOE,
        MIXTRAL,
        OLMO2,
        PHI3,
        GEMMA2,
        GEMMA3,
        GEMMA3_TEXT,
        DEEPSEEK_V3,
        GPT_OSS,
        GPT2,
        GPT_NEOX,
        MAMBA,
        MAMBA2,
        T5,
        BERT,
        VIT,
        DINOV2,
        WHISPER,
        CLIP,
    )
}


def read_config(config: Mapping[str, Any]) -> ModelReading:
    """Return the model that transformers builds from a config.json: its parameters in order, each with its place.

    Weights that two layers share stand once for each use, not for each name. Names, shapes and the defaults of missing
    fields are those of transformers 5.24; version 4 named and fused some weights otherwise. Raises InvalidInputError
    for a model_type or a class (`architectures`) that is not understood, and for a field out of its range.
    """
    model_type = Fields.of(config, "config").values.get("model_type")
    kind = KINDS.get(model_type) if isinstance(model_type, str) else None
    if kind is None:
        raise InvalidInputError(
            f"config.model_type is {model_type!r}; understood are {', '.join(sorted(KINDS))}: give one of them, or "
            "trace the model instead",
            field="config.model_type",
        )
    return kind.read(config)
