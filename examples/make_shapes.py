"""Write the examples: bodies of POST /v1/transfers with the tensors of published models.

    python examples/make_shapes.py            write every example beside this script
    python examples/make_shapes.py DIRECTORY  or elsewhere

Each model is a frozen configuration and a function that lists its parameters in the order of its own code.  A pair
lists the parameters of the target; the base's shape of each is the one that it has in the base's layers, however many
of those there are: width is what transfers, depth is not.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """One parameter of a model; `placed` holds what a transfer has to be told of it (role, fan axes, tie)."""

    name: str
    shape: tuple[int, ...]
    placed: Mapping[str, Any] = MappingProxyType({})

    @property
    def size(self) -> int:
        """Numbers that it adds to the model: none if another tensor owns them."""
        return 0 if "tied_to" in self.placed else prod(self.shape)


@dataclass(frozen=True)
class Gpt2:
    """Hugging Face names; Conv1D weights are (in, out); the head reuses the token table."""

    layers: int
    width: int
    vocabulary: int = 50257
    positions: int = 1024

    def parameters(self) -> Iterator[Parameter]:
        d = self.width
        yield Parameter("transformer.wte.weight", (self.vocabulary, d))  # the tie below says which side it is
        yield Parameter("transformer.wpe.weight", (self.positions, d), {"role": "embedding"})
        for layer in range(self.layers):
            block = f"transformer.h.{layer}"
            yield Parameter(f"{block}.ln_1.weight", (d,))
            yield Parameter(f"{block}.ln_1.bias", (d,))
            yield Parameter(f"{block}.attn.c_attn.weight", (d, 3 * d))
            yield Parameter(f"{block}.attn.c_attn.bias", (3 * d,))
            yield Parameter(f"{block}.attn.c_proj.weight", (d, d))
            yield Parameter(f"{block}.attn.c_proj.bias", (d,))
            yield Parameter(f"{block}.ln_2.weight", (d,))
            yield Parameter(f"{block}.ln_2.bias", (d,))
            yield Parameter(f"{block}.mlp.c_fc.weight", (d, 4 * d))
            yield Parameter(f"{block}.mlp.c_fc.bias", (4 * d,))
            yield Parameter(f"{block}.mlp.c_proj.weight", (4 * d, d))
            yield Parameter(f"{block}.mlp.c_proj.bias", (d,))
        yield Parameter("transformer.ln_f.weight", (d,))
        yield Parameter("transformer.ln_f.bias", (d,))
        yield Parameter("lm_head.weight", (self.vocabulary, d), {"tied_to": "transformer.wte.weight"})


@dataclass(frozen=True)
class Llama:
    """Grouped key/values, SwiGLU, RMS norm, no biases; with `experts`, Mixtral's sparse feed-forward.

    Hugging Face names; weights are (out, in).  The experts of a layer are fused as transformers 5 keeps them:
    gate and up together (experts, 2·ffn, width), and down (experts, width, ffn).
    """

    layers: int
    width: int
    heads: int
    head_dim: int
    kv_heads: int
    ffn: int
    vocabulary: int
    tied: bool = False
    experts: int = 0

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    def parameters(self) -> Iterator[Parameter]:
        d, q, kv = self.width, self.heads * self.head_dim, self.kv_width
        projects = {"role": "hidden"}  # a key/value width may be one number at both ends: see `pair`
        yield Parameter("model.embed_tokens.weight", (self.vocabulary, d), {"role": "embedding"})
        for layer in range(self.layers):
            block = f"model.layers.{layer}"
            yield Parameter(f"{block}.self_attn.q_proj.weight", (q, d))
            yield Parameter(f"{block}.self_attn.k_proj.weight", (kv, d), projects)
            yield Parameter(f"{block}.self_attn.v_proj.weight", (kv, d), projects)
            yield Parameter(f"{block}.self_attn.o_proj.weight", (d, q))
            yield from self._experts(block) if self.experts else self._dense(block)
            yield Parameter(f"{block}.input_layernorm.weight", (d,))
            yield Parameter(f"{block}.post_attention_layernorm.weight", (d,))
        yield Parameter("model.norm.weight", (d,))
        tie = {"tied_to": "model.embed_tokens.weight"} if self.tied else {}
        yield Parameter("lm_head.weight", (self.vocabulary, d), {"role": "readout", **tie})

    def _dense(self, block: str) -> Iterator[Parameter]:
        d, f = self.width, self.ffn
        yield Parameter(f"{block}.mlp.gate_proj.weight", (f, d))
        yield Parameter(f"{block}.mlp.up_proj.weight", (f, d))
        yield Parameter(f"{block}.mlp.down_proj.weight", (d, f))

    def _experts(self, block: str) -> Iterator[Parameter]:
        d, f, e = self.width, self.ffn, self.experts
        axes = {"fan_in_axes": [2], "fan_out_axes": [1]}  # axis 0 stacks the experts
        # The router's outputs weigh features and never meet the loss as logits: a projection of constant width.
        yield Parameter(f"{block}.mlp.gate.weight", (e, d), {"role": "hidden"})
        yield Parameter(f"{block}.mlp.experts.gate_up_proj", (e, 2 * f, d), axes)
        yield Parameter(f"{block}.mlp.experts.down_proj", (e, d, f), axes)


@dataclass(frozen=True)
class Vit:
    """timm names; weights are (out, in), the patch embedding a convolution (out, channels, height, width)."""

    layers: int
    width: int
    mlp: int
    patch: int = 16
    positions: int = 197  # 14 × 14 patches of a 224-pixel image, and the class token
    classes: int = 1000

    def parameters(self) -> Iterator[Parameter]:
        d, m, p = self.width, self.mlp, self.patch
        # A learned vector that nothing is multiplied by, so without fan-in, as a bias is; axes 0 and 1 are broadcast.
        yield Parameter("cls_token", (1, 1, d), {"fan_in_axes": [], "fan_out_axes": [2]})
        # A table of positions; axis 0 is the batch that it is broadcast over.
        yield Parameter("pos_embed", (1, self.positions, d), {"fan_in_axes": [1], "fan_out_axes": [2]})
        yield Parameter("patch_embed.proj.weight", (d, 3, p, p), {"fan_in_axes": [1, 2, 3], "fan_out_axes": [0]})
        yield Parameter("patch_embed.proj.bias", (d,))
        for layer in range(self.layers):
            block = f"blocks.{layer}"
            yield Parameter(f"{block}.norm1.weight", (d,))
            yield Parameter(f"{block}.norm1.bias", (d,))
            yield Parameter(f"{block}.attn.qkv.weight", (3 * d, d))
            yield Parameter(f"{block}.attn.qkv.bias", (3 * d,))
            yield Parameter(f"{block}.attn.proj.weight", (d, d))
            yield Parameter(f"{block}.attn.proj.bias", (d,))
            yield Parameter(f"{block}.norm2.weight", (d,))
            yield Parameter(f"{block}.norm2.bias", (d,))
            yield Parameter(f"{block}.mlp.fc1.weight", (m, d))
            yield Parameter(f"{block}.mlp.fc1.bias", (m,))
            yield Parameter(f"{block}.mlp.fc2.weight", (d, m))
            yield Parameter(f"{block}.mlp.fc2.bias", (d,))
        yield Parameter("norm.weight", (d,))
        yield Parameter("norm.bias", (d,))
        yield Parameter("head.weight", (self.classes, d), {"role": "readout"})
        yield Parameter("head.bias", (self.classes,))


Model = Gpt2 | Llama | Vit


def count(model: Model) -> int:
    """Trainable parameters, tied ones once."""
    return sum(parameter.size for parameter in model.parameters())


def pair(base: Model, target: Model) -> list[dict[str, Any]]:
    """Tensors of the target, each with the shape that it has in the base's layers."""
    alike: dict[str, Any] = {"layers": target.layers}
    if isinstance(target, Llama):
        alike["tied"] = target.tied  # a target that unties its head trains a tensor of its own
    narrow = replace(base, **alike)
    tensors = []
    for q, p in zip(narrow.parameters(), target.parameters(), strict=True):
        tensor = {"name": p.name, "base_shape": list(q.shape), "target_shape": list(p.shape), **p.placed}
        # A projection of constant width looks like a readout, so its role is said; one whose axes both grow does not.
        if tensor.get("role") == "hidden" and all(a != b for a, b in zip(q.shape, p.shape, strict=True)):
            del tensor["role"]
        tensors.append(tensor)
    return tensors


# Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", table 2; counts from the released weights.
GPT2_SMALL = Gpt2(layers=12, width=768)
GPT2_XL = Gpt2(layers=48, width=1600)
# Model cards and configurations of meta-llama/Llama-3.2-1B, Llama-3.1-8B and Llama-3.1-70B; the last two also
# Llama Team 2024, "The Llama 3 Herd of Models" (2407.21783), table 3.
LLAMA_1B = Llama(layers=16, width=2048, heads=32, head_dim=64, kv_heads=8, ffn=8192, vocabulary=128256, tied=True)
LLAMA_8B = Llama(layers=32, width=4096, heads=32, head_dim=128, kv_heads=8, ffn=14336, vocabulary=128256)
LLAMA_70B = Llama(layers=80, width=8192, heads=64, head_dim=128, kv_heads=8, ffn=28672, vocabulary=128256)
# Jiang et al. 2024, "Mixtral of Experts" (2401.04088), table 1, and the configuration of mistralai/Mixtral-8x22B-v0.1.
MIXTRAL_8X7B = Llama(layers=32, width=4096, heads=32, head_dim=128, kv_heads=8, ffn=14336, vocabulary=32000, experts=8)
MIXTRAL_8X22B = Llama(layers=56, width=6144, heads=48, head_dim=128, kv_heads=8, ffn=16384, vocabulary=32000, experts=8)
# Touvron et al. 2021, "Training data-efficient image transformers" (2012.12877), table 1 (DeiT-S); Dosovitskiy et
# al. 2021, "An Image is Worth 16x16 Words" (2010.11929), table 1 (ViT-L); 224 pixels, 1000 classes.
VIT_SMALL = Vit(layers=12, width=384, mlp=1536)
VIT_LARGE = Vit(layers=24, width=1024, mlp=4096)

#: Published parameter counts, which the lists above must add up to.
PUBLISHED: dict[Model, int] = {
    GPT2_SMALL: 124_439_808,
    GPT2_XL: 1_557_611_200,
    LLAMA_1B: 1_235_814_400,
    LLAMA_8B: 8_030_261_248,
    LLAMA_70B: 70_553_706_496,
    MIXTRAL_8X7B: 46_702_792_704,
    MIXTRAL_8X22B: 140_620_634_112,
    VIT_SMALL: 22_050_664,
    VIT_LARGE: 304_326_632,
}

#: One init std for every matrix, the `initializer_range` of all these models' configurations (DeiT: its section 6).
#: Gains start at 1 and biases at 0, so vectors have none.
INIT_STD = {"embedding": 0.02, "hidden": 0.02, "readout": 0.02}


def gpt2_small_to_xl() -> dict[str, Any]:
    """GPT-2's paper prints no learning rate; GPT-3's (2005.14165) does for the same small model, table 2.1."""
    return {
        "parameterization": "mup",
        "optimizer": "adamw",
        "alignment": "full",
        "form": "table_8",  # the form in which a tied head asks for one learning rate, as in the mup package
        "weight_decay_mode": "decoupled",
        "layout": "in_out",
        "base": {
            "width": 768,
            "depth": 12,
            "head_dim": 64,
            "batch_tokens": 524_288,  # 512 sequences of 1024 tokens
            "learning_rate": 6e-4,
            "epsilon": 1e-8,
            "weight_decay": 0.1,
            "init_std": INIT_STD,
        },
        "target": {"width": 1600, "depth": 48, "head_dim": 64, "batch_tokens": 524_288},
        "tensors": pair(GPT2_SMALL, GPT2_XL),
    }


def llama_pair() -> dict[str, Any]:
    """Meta prints no recipe for the 1B: learning rate and decay are those of TinyLlama 1.1B (2401.02385), as wide."""
    return {
        "parameterization": "standard",
        "optimizer": "adamw",
        "alignment": "full",
        "weight_decay_mode": "decoupled",
        "layout": "out_in",
        "base": {
            "width": 2048,
            "depth": 16,
            "head_dim": 64,
            "learning_rate": 4e-4,
            "epsilon": 1e-8,  # PyTorch's default, which TinyLlama's code leaves alone
            "weight_decay": 0.1,
            "init_std": INIT_STD,
        },
        "target": {"width": 4096, "depth": 32, "head_dim": 128},
        "tensors": pair(LLAMA_1B, LLAMA_8B),
    }


def llama_constant_kv_pair() -> dict[str, Any]:
    """Llama 3 (2407.21783), table 3: 3e-4 for 8B, and 1.5e-4 for 70B; decay .1; ε as Llama 2 (2307.09288) prints it."""
    return {
        "parameterization": "standard",
        "optimizer": "adamw",
        "alignment": "full",
        "weight_decay_mode": "decoupled",
        "layout": "out_in",
        "base": {
            "width": 4096,
            "depth": 32,
            "head_dim": 128,
            "learning_rate": 3e-4,
            "epsilon": 1e-5,
            "weight_decay": 0.1,
            "init_std": INIT_STD,
        },
        "target": {"width": 8192, "depth": 80, "head_dim": 128},
        "tensors": pair(LLAMA_8B, LLAMA_70B),
    }


def moe_pair() -> dict[str, Any]:
    """Mistral prints no recipe: the numbers are those of OLMoE-1B-7B (2409.02060), whose paper prints all of them."""
    return {
        "parameterization": "standard",
        "optimizer": "adamw",
        "alignment": "full",
        "weight_decay_mode": "decoupled",
        "layout": "out_in",
        "base": {
            "width": 4096,
            "depth": 32,
            "head_dim": 128,
            "learning_rate": 4e-4,
            "epsilon": 1e-8,
            "weight_decay": 0.1,
            "init_std": INIT_STD,
        },
        "target": {"width": 6144, "depth": 56, "head_dim": 128},
        "tensors": pair(MIXTRAL_8X7B, MIXTRAL_8X22B),
    }


def vit_pair() -> dict[str, Any]:
    """DeiT (2012.12877), section 6: AdamW, 5e-4 · batch / 512 with batches of 1024, decay .05; ε is timm's default."""
    return {
        "parameterization": "mup",
        "optimizer": "adamw",
        "alignment": "full",
        "form": "table_3",  # no forward multipliers: a trainer needs learning rates, inits and decays alone
        "weight_decay_mode": "decoupled",
        "layout": "out_in",
        "base": {
            "width": 384,
            "depth": 12,
            "head_dim": 64,
            "learning_rate": 1e-3,
            "epsilon": 1e-8,
            "weight_decay": 0.05,
            "init_std": INIT_STD,
        },
        "target": {"width": 1024, "depth": 24, "head_dim": 64},
        "tensors": pair(VIT_SMALL, VIT_LARGE),
    }


EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "gpt2_small_to_xl": gpt2_small_to_xl,
    "llama_pair": llama_pair,
    "llama_constant_kv_pair": llama_constant_kv_pair,
    "moe_pair": moe_pair,
    "vit_pair": vit_pair,
}


def render(body: dict[str, Any]) -> str:
    """JSON with one line for each field and each tensor, in the order of the model."""
    fields = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in body.items() if key != "tensors"]
    tensors = ",\n".join(f"    {json.dumps(tensor)}" for tensor in body["tensors"])
    return "{\n" + ",\n".join([*fields, f'  "tensors": [\n{tensors}\n  ]']) + "\n}\n"


def main(directory: Path) -> None:
    for model, published in PUBLISHED.items():
        if count(model) != published:
            raise SystemExit(f"{model} adds up to {count(model):,} parameters; {published:,} were published")
    for name, make in EXAMPLES.items():
        (directory / f"{name}.json").write_text(render(make()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
