"""The kinds of model whose config.json is understood."""

from collections.abc import Mapping
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.reading.configs.gpt2 import GPT2
from widthwise.reading.configs.kind import ModelKind
from widthwise.reading.configs.llama import LLAMA, MIXTRAL, OLMO2, QWEN2, QWEN3, QWEN3_MOE
from widthwise.reading.model import ModelReading

KINDS: Mapping[str, ModelKind] = {kind.name: kind for kind in (LLAMA, QWEN2, QWEN3, QWEN3_MOE, MIXTRAL, OLMO2, GPT2)}


def read_config(config: Mapping[str, Any]) -> ModelReading:
    """Return the model that transformers builds from a config.json: its parameters in order, each with its place.

    Fields that are missing have the defaults of transformers 5. Raises InvalidInputError for a model_type or a class
    (`architectures`) that is not understood, and for a field out of its range.
    """
    model_type = config.get("model_type")
    kind = KINDS.get(model_type) if isinstance(model_type, str) else None
    if kind is None:
        raise InvalidInputError(
            f"config.model_type is {model_type!r}; understood are {', '.join(sorted(KINDS))}: give one of them, or "
            "trace the model instead",
            field="config.model_type",
        )
    return kind.read(config)
