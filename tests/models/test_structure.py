"""What a trace finds besides the parameters: blocks, width, attentions and the multipliers of the code."""

from dataclasses import dataclass

import pytest

from tests.models.zoo.everything import ZOO
from tests.models.zoo.sizes import DEPTH, HEAD_DIM, WIDTH
from widthwise.reading.model import ModelReading, Place
from widthwise.torch import trace

SPECIMENS = {specimen.name: specimen for specimen in ZOO}
SHARED_HEAD = 12  #: the width over the heads, where no head size is given


@dataclass(frozen=True)
class Structure:
    """The truth about a model as a whole, from its configuration and code."""

    blocks: tuple[int, ...] = (DEPTH,)
    attentions: int = DEPTH
    head_dim: int = SHARED_HEAD
    scale: float | None = None  #: None: 1/√head_dim
    normalized: bool = False
    soft_cap: bool = False
    multipliers: frozenset[tuple[Place, float]] = frozenset()


GROUPED = Structure(head_dim=HEAD_DIM)
SQRT_WIDTH = frozenset({(Place.EMBEDDING, round(WIDTH**0.5, 4))})
GEMMA_SCALE = 256**-0.5  # query_pre_attn_scalar, whatever the head size
LATENT = Structure(head_dim=18)  # 10 without rotation, 8 with
ENCODER_DECODER = Structure(blocks=(DEPTH, DEPTH), attentions=3 * DEPTH)

STRUCTURES = {
    "gpt2": Structure(),
    "gpt_neox": Structure(),
    "llama": GROUPED,
    "qwen2": GROUPED,
    "qwen3": Structure(head_dim=HEAD_DIM, normalized=True),
    "qwen3_moe": Structure(head_dim=HEAD_DIM, normalized=True),
    "mixtral": GROUPED,
    "gpt_oss": GROUPED,
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "gemma2": Structure(head_dim=HEAD_DIM, scale=GEMMA_SCALE, soft_cap=True, multipliers=SQRT_WIDTH),
    "gemma3_text": Structure(head_dim=HEAD_DIM, scale=GEMMA_SCALE, normalized=True, multipliers=SQRT_WIDTH),
    "phi3": Structure(),
    "olmo2": Structure(normalized=True),
    "cohere": Structure(multipliers=frozenset({(Place.LOGITS, 0.25)})),
    "granitemoe": Structure(
        scale=0.0156,
        multipliers=frozenset({(Place.EMBEDDING, 12.0), (Place.BRANCH, 0.22), (Place.LOGITS, 0.1667)}),
    ),
    "mamba": Structure(attentions=0),
    "mamba2": Structure(attentions=0),
    "jamba": Structure(head_dim=HEAD_DIM),  # two unlike layers make the block that repeats
    "t5": Structure(
        blocks=(DEPTH, DEPTH),
        attentions=3 * DEPTH,
        head_dim=16,
        scale=1.0,
        multipliers=frozenset({(Place.LOGITS, round(WIDTH**-0.5, 4))}),
    ),
    "bart": ENCODER_DECODER,
    "bert": Structure(),
    "vit": Structure(),
    "dinov2": Structure(),
    "whisper": ENCODER_DECODER,
    "clip": Structure(blocks=(DEPTH, DEPTH), attentions=2 * DEPTH),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure(name: str) -> None:
    model, inputs = SPECIMENS[name].build()
    found = trace(model.eval(), inputs)
    assert _structure(found, STRUCTURES[name]) == STRUCTURES[name]
    assert found.width == WIDTH


def _structure(found: ModelReading, expected: Structure) -> Structure:
    """What was found, with the expected scale instead of one that is the same but for rounding."""
    (kind,) = found.attentions or (None,)
    multipliers = frozenset((each.place, round(each.value, 4)) for each in found.multipliers)
    if kind is None:
        return Structure(found.blocks, 0, multipliers=multipliers)
    default = kind.head_dim**-0.5 if expected.scale is None else expected.scale
    return Structure(
        found.blocks,
        kind.count,
        kind.head_dim,
        expected.scale if kind.scale == pytest.approx(default, rel=1e-5) else kind.scale,
        kind.normalized,
        kind.soft_cap,
        multipliers,
    )
