"""Twelve architectures have one plan each, from a trace, from their config.json and from tensors written by hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.models import hand_written
from tests.models.hand_written import Listing, Sizes
from tests.models.test_configs import configuration, file_of
from tests.models.test_configs_traced import inputs, small
from widthwise import Base, Target, TransferRequest
from widthwise.reading.configs import read_config
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.torch import trace
from widthwise.transfers.transfer import plan_of

SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
TUNED = {"learning_rate": 3e-3, "epsilon": 1e-8, "weight_decay": 0.1, "init_std": 0.02, "gradient_rms": 1e-4}
SCHEMES = [("standard", "adamw"), ("mup", "adam"), ("ntk", "sgd"), ("mean_field", "adafactor")]


def common(n: Sizes) -> dict[str, Any]:
    return {
        "vocab_size": hand_written.VOCABULARY,
        "hidden_size": n.width,
        "num_hidden_layers": n.depth,
        "num_attention_heads": n.heads,
        "intermediate_size": n.inner,
        **SPECIAL,
    }


def grouped(n: Sizes) -> dict[str, Any]:
    return {**common(n), "num_key_value_heads": n.key_heads}


def tied(n: Sizes) -> dict[str, Any]:
    return {**grouped(n), "tie_word_embeddings": True}


def heads_apart(n: Sizes) -> dict[str, Any]:
    return {**grouped(n), "head_dim": n.head_dim}


def mixture(n: Sizes) -> dict[str, Any]:
    return {**grouped(n), "num_local_experts": hand_written.EXPERTS}


def bert(n: Sizes) -> dict[str, Any]:
    tables = {"max_position_embeddings": hand_written.POSITIONS, "type_vocab_size": hand_written.TYPES}
    return {**common(n), **tables}


def gpt2(n: Sizes) -> dict[str, Any]:
    sizes = {"n_embd": n.width, "n_layer": n.depth, "n_head": n.heads, "n_inner": n.inner}
    return {"vocab_size": hand_written.VOCABULARY, "n_positions": hand_written.POSITIONS, **sizes}


def latent(n: Sizes) -> dict[str, Any]:
    return {
        **grouped(n),
        "q_lora_rank": hand_written.QUERY_RANK,
        "kv_lora_rank": hand_written.KEY_RANK,
        "qk_rope_head_dim": hand_written.ROTATED,
        "qk_nope_head_dim": n.head_dim - hand_written.ROTATED,
        "v_head_dim": n.head_dim - hand_written.ROTATED,
        "n_routed_experts": hand_written.EXPERTS,
        "n_shared_experts": hand_written.SHARED,
        "moe_intermediate_size": n.expert,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    }


def vit(n: Sizes) -> dict[str, Any]:
    seen = {"image_size": hand_written.PICTURE, "patch_size": hand_written.PATCH, "num_labels": hand_written.LABELS}
    return {**common(n), **seen}


class Pair(NamedTuple):
    """A base and a target of one architecture: its listing, its configuration, both sizes, and what its code does."""

    listing: Listing
    fields: Callable[[Sizes], Mapping[str, Any]]
    base: Sizes
    target: Sizes
    stated: Mapping[str, Any] = MappingProxyType({})


BASE = Sizes(width=48, depth=2, heads=4, key_heads=2, head_dim=12, inner=80)
#: More heads, and more layers.
DEEPER = Sizes(width=96, depth=4, heads=8, key_heads=4, head_dim=12, inner=160)
#: Larger heads, and a feed-forward part that grows by another ratio than the width.
LARGER_HEADS = Sizes(width=96, depth=2, heads=4, key_heads=2, head_dim=24, inner=200)
#: Heads that do not add up to the width, with as many keys and values at the target.
APART = Sizes(width=48, depth=3, heads=4, key_heads=2, head_dim=16, inner=80)
FEW_KEYS = Sizes(width=144, depth=3, heads=12, key_heads=2, head_dim=16, inner=200)
#: Heads of a latent attention, and experts that grow.
LATENT = Sizes(width=48, depth=3, heads=4, key_heads=4, head_dim=18, inner=80, expert=36)
DEEPER_LATENT = Sizes(width=96, depth=5, heads=8, key_heads=8, head_dim=18, inner=160, expert=80)
#: Gemma multiplies query·key by 1/√256 whatever the head dim, and embeddings by √width.
CONSTANT = 256**-0.5
SQRT_WIDTH = ComputedMultiplier(power=0.5, of="fan_out", tensors=["model.embed_tokens.weight"])
NORMALIZED = {"qk_norm": True}

PAIRS = {
    "llama": Pair(hand_written.llama, grouped, BASE, DEEPER),
    "qwen2": Pair(hand_written.qwen2, tied, BASE, LARGER_HEADS),
    "qwen3": Pair(hand_written.qwen3, heads_apart, APART, FEW_KEYS, NORMALIZED),
    "mixtral": Pair(hand_written.mixtral, mixture, BASE, DEEPER),
    "gemma2": Pair(
        hand_written.gemma2,
        heads_apart,
        replace(APART, attention_scale=CONSTANT),
        replace(FEW_KEYS, attention_scale=CONSTANT),
        {"code_multipliers": [SQRT_WIDTH]},
    ),
    "phi3": Pair(hand_written.phi3, grouped, BASE, LARGER_HEADS),
    "olmo2": Pair(hand_written.olmo2, grouped, BASE, DEEPER, NORMALIZED),
    "deepseek_v3": Pair(hand_written.deepseek_v3, latent, LATENT, DEEPER_LATENT),
    "gpt2": Pair(hand_written.gpt2, gpt2, BASE, DEEPER),
    "gpt_neox": Pair(hand_written.gpt_neox, common, BASE, LARGER_HEADS),
    "bert": Pair(hand_written.bert, bert, BASE, DEEPER),
    "vit": Pair(hand_written.vit, vit, BASE, LARGER_HEADS),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_trace_a_config_and_a_listing_make_one_plan(kind: str) -> None:
    pair = PAIRS[kind]
    base, target = (configuration(kind, pair.fields(sizes)) for sizes in (pair.base, pair.target))
    stated = [read_config(file_of(config)) for config in (base, target)]
    traced = [trace(small(config), inputs(kind, config)) for config in (base, target)]
    listed = hand_written.tensors(pair.listing, pair.base, pair.target)
    for parameterization, optimizer in SCHEMES:
        scheme = {"parameterization": parameterization, "optimizer": optimizer}
        by_hand = answer(
            TransferRequest(
                **scheme,
                base=Base(**sizes_of(pair.base), **TUNED),
                target=Target(**sizes_of(pair.target)),
                tensors=listed,
                layout="out_in",
                **pair.stated,
            )
        )
        requests = [TransferRequest.of_models(*each, base=Base(**TUNED), **scheme) for each in (traced, stated)]
        assert [answer(request) for request in requests] == [by_hand, by_hand]
        assert requests[0].cautions == requests[1].cautions


def sizes_of(sizes: Sizes) -> dict[str, Any]:
    return {name: getattr(sizes, name) for name in ("width", "depth", "head_dim", "attention_scale")}


def answer(request: TransferRequest) -> dict[str, Any]:
    """Everything that a plan says of the model and of each tensor and role, by name."""
    plan = plan_of(request).to_dict()
    return {
        **{tensor["name"]: tensor for tensor in plan["tensors"]},
        **{f"role {layer['role']}": layer for layer in plan["layers"]},
        "model": plan["model"],
    }
