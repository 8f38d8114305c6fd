"""A small language model and its plans, for the tests of what puts a plan into training."""

from typing import Any

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

import widthwise.torch
from widthwise import Base, Plan

IDS = {"input_ids": torch.arange(5, 23).reshape(3, 6)}
LEARNING_RATE = 0.002
TINY = 1e-30  # an epsilon that leaves lr · sign(g) of the first step, and 0 where the gradient is 0
BASE = Base(learning_rate=LEARNING_RATE, epsilon=1e-8, weight_decay=0.1, init_std=0.02)


def llama(width: int, *, tied: bool = False, depth: int = 2) -> Any:
    """A Llama with heads of 8 in half as many key heads, whose attention scale stays over width."""
    heads = {"num_attention_heads": width // 8, "num_key_value_heads": width // 16, "head_dim": 8}
    config = CONFIG_MAPPING["llama"](
        vocab_size=97,
        hidden_size=width,
        num_hidden_layers=depth,
        intermediate_size=3 * width,
        tie_word_embeddings=tied,
        **heads,
    )
    return AutoModelForCausalLM.from_config(config)


def plan_of(base_model: nn.Module, target: nn.Module, inputs: Any = IDS, **words: Any) -> Plan:
    """The plan of two models, standard with AdamW unless words say otherwise."""
    return widthwise.torch.plan(
        base_model,
        target,
        inputs,
        **{
            "parameterization": "standard",
            "optimizer": "adamw",
            "base": BASE,
            "weight_decay_mode": "decoupled",
            **words,
        },
    )


def loss_of(model: nn.Module, ids: Any = IDS["input_ids"]) -> Any:
    """The language model's own loss on a batch."""
    return model(input_ids=ids, labels=ids).loss


def first_steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Each parameter's largest move in one training step: Adam's is lr while ε and decay are 0."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    loss_of(model).backward()
    optimizer.step()
    optimizer.zero_grad()
    return {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}
