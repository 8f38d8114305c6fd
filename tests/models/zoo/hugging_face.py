"""How a model of transformers is built for the zoo."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from tests.models.zoo.sizes import COMMON, tokens
from tests.models.zoo.specimen import Inputs, Specimen
from tests.models.zoo.truth import Truths


def prompt() -> Inputs:
    return {"input_ids": tokens()}


def pair_of_texts() -> Inputs:
    """Of an encoder and of a decoder, with lengths that differ."""
    return {"input_ids": tokens(), "decoder_input_ids": tokens(5)}


def hugging_face(
    kind: str,
    truths: Truths,
    *,
    make: Callable[..., nn.Module] = AutoModelForCausalLM.from_config,
    feed: Callable[[], Inputs] = prompt,
    common: Mapping[str, Any] = COMMON,
    **sizes: Any,
) -> Specimen:
    """The specimen of one model type. make: from its configuration. sizes: besides the common ones."""

    def build() -> tuple[nn.Module, Inputs]:
        config = CONFIG_MAPPING[kind](**{**common, **sizes})
        config.use_cache = False
        return make(config, attn_implementation="eager"), feed()

    return Specimen(kind, build, truths)
