"""The sizes of the zoo's transformers, no two of them equal, and inputs to match."""

from typing import Any

import torch

BATCH, TOKENS = 3, 6
VOCABULARY, WIDTH, HEADS, HEAD_DIM, KEY_HEADS, MLP, DEPTH = 97, 48, 4, 16, 2, 80, 2
EXPERTS, EXPERT_MLP = 5, 36
CLASSES = 11
PICTURE, PATCH = 32, 8

SPECIAL: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "intermediate_size": MLP,
    **SPECIAL,
}
GROUPED = {"num_key_value_heads": KEY_HEADS, "head_dim": HEAD_DIM}


def tokens(length: int = TOKENS) -> torch.Tensor:
    """A batch of token ids, none of them special."""
    return torch.randint(5, VOCABULARY - 2, (BATCH, length), generator=torch.Generator().manual_seed(0))


def picture(size: int = PICTURE, channels: int = 3) -> torch.Tensor:
    return torch.randn(BATCH, channels, size, size, generator=torch.Generator().manual_seed(0))
