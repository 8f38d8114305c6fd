"""A plan from two models: what their code multiplies by is found, and so are sizes, ties and what grows."""

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

import widthwise.torch
from widthwise import Base, ComputedMultiplier, InvalidInputError, Plan, UnplacedTensorsError
from widthwise.vocabulary import Role

IDS = {"input_ids": torch.arange(5, 23).reshape(3, 6)}
BASE = Base(learning_rate=0.002, epsilon=1e-8, weight_decay=0.1)


def plan(base: Any, target: Any, inputs: Any = IDS, **words: Any) -> Plan:
    return widthwise.torch.plan(
        base, target, inputs, **{"parameterization": "standard", "optimizer": "adamw", "base": BASE, **words}
    )


def causal_lm(kind: str, width: int, *, depth: int = 2, head_dim: int = 8, **sizes: Any) -> Any:
    """A small language model with heads of a stated size and an inner width of 3 × width."""
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": head_dim}
    config = CONFIG_MAPPING[kind](
        vocab_size=97, hidden_size=width, num_hidden_layers=depth, intermediate_size=3 * width, **heads, **sizes
    )
    return AutoModelForCausalLM.from_config(config)


def test_a_llama_is_planned_from_the_two_models_alone() -> None:
    """Standard, Adam, full alignment: η ∝ 1/fan-in for hidden and readout, and gains are not decayed."""
    found = plan(causal_lm("llama", 32), causal_lm("llama", 128, depth=4, tie_word_embeddings=False))
    assert found.tensor("model.layers.3.mlp.down_proj.weight").learning_rate.value == 0.0005
    assert found.tensor("model.embed_tokens.weight").learning_rate.value == 0.002
    assert found.tensor("lm_head.weight").learning_rate.value == 0.0005
    assert found.tensor("model.norm.weight").weight_decay.value == 0
    assert found.tensor("model.layers.0.mlp.up_proj.weight").weight_decay.value == pytest.approx(0.4)
    assert {each.code for each in found.warnings} >= {"depth_changed"}


def test_the_root_of_the_width_on_gemmas_embedding_is_found() -> None:
    """A tied table that the code multiplies by √d, ×4 as wide (the example in rules/code.py): std × ½, η × ¼."""
    found = plan(causal_lm("gemma", 32), causal_lm("gemma", 128))
    table, head = found.tensor("model.embed_tokens.weight"), found.tensor("lm_head.weight")
    assert (table.init_std.multiplier, table.learning_rate.multiplier) == (0.5, 0.25)
    assert (table.forward_multiplier.multiplier, head.forward_multiplier.multiplier) == (1, 1)
    assert head.tied_to == "model.embed_tokens.weight"


def test_a_number_that_the_meta_device_does_not_hold_is_asked_for() -> None:
    with torch.device("meta"):
        target = causal_lm("gemma", 128)
    with pytest.raises(InvalidInputError, match=r"embed_tokens\.weight \(embedding\) by a number that the model does"):
        plan(causal_lm("gemma", 32), target)
    whole = plan(causal_lm("gemma", 32), causal_lm("gemma", 128))
    said = [ComputedMultiplier(power=0.5, of="fan_out", tensors=["model.embed_tokens.weight"])]
    assert plan(causal_lm("gemma", 32), target, code_multipliers=said).tensors == whole.tensors
    with FakeTensorMode():
        target = causal_lm("gemma", 128)
    assert plan(causal_lm("gemma", 32), target) == whole


def test_t5_multiplies_the_logits_of_its_tied_table_by_one_over_the_root_of_the_width() -> None:
    """Tied under standard and Adam, ×4 as wide, logits need 4^(−½): the code computes exactly that."""

    def t5(width: int, head_dim: int) -> Any:
        sizes = {"d_model": width, "d_kv": head_dim, "num_heads": 4, "d_ff": 3 * width, "num_layers": 2}
        config = CONFIG_MAPPING["t5"](vocab_size=97, tie_word_embeddings=True, **sizes)
        return AutoModelForSeq2SeqLM.from_config(config)

    inputs = {**IDS, "decoder_input_ids": IDS["input_ids"]}
    found = plan(t5(32, 8), t5(128, 32), inputs)
    (head,) = [tensor for tensor in found.tensors if tensor.role is Role.READOUT]
    assert head.forward_multiplier.multiplier == 1
    assert found.model.attention_scale is not None
    # T5 leaves 1/√d_head out: next to its scale of 1, query·key needs all of 8/32
    assert (found.model.attention_scale.value, found.model.attention_scale.multiplier) == (0.25, 0.25)


def test_multipliers_that_stay_move_nothing_and_one_that_follows_the_width_is_taken() -> None:
    def granite(width: int, logits: float, embedding: float = 12.0) -> Any:
        return causal_lm(
            "granite", width, logits_scaling=logits, embedding_multiplier=embedding, tie_word_embeddings=False
        )

    alike = plan(granite(32, 2.0), granite(128, 2.0))
    assert alike.tensor("lm_head.weight").learning_rate.multiplier == 0.25
    # logits × 1/n: θ = 1 moves (a, b, c) = (0, ½, 1) to (1, −½, 0), so std × 4^½ and η as at the base
    head = plan(granite(32, 2.0), granite(128, 8.0)).tensor("lm_head.weight")
    assert (head.forward_multiplier.multiplier, head.init_std.multiplier, head.learning_rate.multiplier) == (1, 2, 1)
    odd = plan(granite(32, 2.0), granite(128, 2.0, embedding=17.0))
    (said,) = [each.message for each in odd.warnings if each.code == "code_multiplier_changed"]
    assert "model.embed_tokens.weight (embedding) by 12 in the base and by 17 in the target" in said


def test_normalised_queries_and_keys_keep_the_attention_scale() -> None:
    found = plan(causal_lm("qwen3", 32), causal_lm("qwen3", 128, head_dim=32))
    assert found.model.attention_scale is not None
    assert found.model.attention_scale.multiplier == 1
    plain = plan(causal_lm("llama", 32), causal_lm("llama", 128, head_dim=32))
    assert plain.model.attention_scale is not None
    assert plain.model.attention_scale.multiplier == 0.5


def test_outputs_and_inputs_that_grow_with_the_width_make_hidden_matrices() -> None:
    def bert(width: int) -> Any:
        sizes = {"hidden_size": width, "intermediate_size": 3 * width, "num_attention_heads": 4}
        return AutoModel.from_config(CONFIG_MAPPING["bert"](vocab_size=97, num_hidden_layers=2, **sizes))

    assert plan(bert(32), bert(64)).tensor("pooler.dense.weight").role is Role.HIDDEN

    def xlnet(width: int) -> Any:
        return AutoModel.from_config(
            CONFIG_MAPPING["xlnet"](vocab_size=97, d_model=width, n_layer=2, n_head=4, d_inner=3 * width)
        )

    unused = {"mask_emb": "embedding", "*.r_s_bias": "vector", "*.seg_embed": "embedding"}
    assert plan(xlnet(32), xlnet(64), roles=unused).tensor("layer.0.rel_attn.r").role is Role.HIDDEN


def test_features_of_another_size_that_grow_are_asked_for_once_for_all_blocks() -> None:
    class Reads(torch.nn.Module):
        def __init__(self, features: int, width: int, outputs: int) -> None:
            super().__init__()
            self.blocks = torch.nn.ModuleList(torch.nn.Linear(features, width, bias=False) for _ in range(3))
            self.head = torch.nn.Linear(width, outputs, bias=False)

        def forward(self, x: torch.Tensor) -> Any:
            return self.head(torch.relu(sum(block(x) for block in self.blocks)))

    with pytest.raises(UnplacedTensorsError) as caught:
        plan(Reads(12, 32, 10), Reads(24, 128, 20), torch.zeros(2, 12), target_inputs=torch.zeros(2, 24))
    said = str(caught.value)
    assert "'blocks.*.weight' (×3)" in said
    assert "its fan-in changes from 12 to 24: embedding if it reads one-hot rows, hidden if it reads features" in said
    assert "its fan-out changes from 10 to 20: readout if these are classes or a vocabulary" in said
    settled = plan(
        Reads(12, 32, 10),
        Reads(24, 128, 20),
        torch.zeros(2, 12),
        target_inputs=torch.zeros(2, 24),
        roles={"blocks.*": "hidden", "head.*": "readout"},
    )
    assert [tensor.role for tensor in settled.tensors] == [Role.HIDDEN] * 3 + [Role.READOUT]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"target_model is a dict; give a torch\.nn\.Module"):
        plan(causal_lm("llama", 32), {})
