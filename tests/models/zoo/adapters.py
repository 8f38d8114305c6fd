"""Adapters of PEFT, and a decoder of x-transformers."""

import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from tests.models.zoo.language import LANGUAGE
from tests.models.zoo.sizes import VOCABULARY, WIDTH, tokens
from tests.models.zoo.specimen import Inputs, Specimen
from tests.models.zoo.truth import (
    BIAS,
    GAIN,
    HEAD,
    LINEAR,
    LOW_RANK,
    TABLE,
    Truths,
    token,
)

with warnings.catch_warnings():  # it scripts a function as it is imported
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
    from x_transformers import Decoder, TransformerWrapper

RANK = 4


def adapted(name: str, truths: Truths, **options: Any) -> Specimen:
    """Llama with low-rank factors next to some of its weights."""

    def build() -> tuple[nn.Module, Inputs]:
        torch.manual_seed(0)
        (llama,) = (specimen for specimen in LANGUAGE if specimen.name == "llama")
        model, inputs = llama.build()
        return get_peft_model(model, LoraConfig(r=RANK, init_lora_weights=False, **options)), inputs

    return Specimen(f"peft {name}", build, truths, wrappers=("base_model.model.", "base_layer."))


def wrapped() -> tuple[nn.Module, Inputs]:
    torch.manual_seed(0)
    layers = Decoder(
        dim=WIDTH,
        depth=2,
        heads=4,
        attn_dim_head=32,
        use_rmsnorm=True,
        attn_num_mem_kv=2,
        ff_glu=True,
        attn_qk_norm=True,
        rotary_pos_emb=True,
    )
    return TransformerWrapper(num_tokens=VOCABULARY, max_seq_len=16, num_memory_tokens=3, attn_layers=layers), (
        tokens(),
    )


LLAMA = {"model.embed_tokens.weight": TABLE, "lm_head.weight": HEAD, "*norm.weight": GAIN, "*.weight": LINEAR}
LORA = {"*.lora_A.*": LOW_RANK, "*.lora_B.*": LOW_RANK, **LLAMA}
ADAPTERS = (
    adapted("LoRA", LORA, target_modules=["q_proj", "v_proj", "down_proj"]),
    adapted("rsLoRA", LORA, target_modules=["q_proj", "up_proj"], use_rslora=True),
    adapted(
        "DoRA",
        {"*.lora_magnitude_vector.*": GAIN, **LORA},
        target_modules=["q_proj", "v_proj", "down_proj"],
        use_dora=True,
    ),
    Specimen(
        "x-transformers",
        wrapped,
        {
            "memory_tokens": token("so"),
            "token_emb.emb.weight": TABLE,
            "*.mem_?": token("oso"),  # heads × memories × head
            "*.g": GAIN,
            "to_logits.weight": HEAD,
            "*.weight": LINEAR,
            "*.bias": BIAS,
        },
    ),
)
