"""What a plan changes of the model as a whole, held against what the model's code does."""

import math
from collections.abc import Collection

from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.torch.inputs import Inputs
from widthwise.torch.trace import trace
from widthwise.transfers.plan import ModelQuantity, Plan

WORDS = ("attention_scale", "residual_multiplier")
_HOW = (
    "in transformers by the configuration of Gemma 2 and 3 (query_pre_attn_scalar = 1/scale²) and Granite "
    "(attention_multiplier = scale); elsewhere by the attribute `scaling` of each attention module"
)
_SAME = 1e-4  # of two scales: what float32 code makes of one number is closer


def refuse_changed(model: nn.Module, plan: Plan, inputs: Inputs, done: Collection[str]) -> None:
    """Raise InvalidInputError for a scale that the plan changes and the model does not apply, with what to set.

    done: the scales that the caller says are applied. An attention scale is found by a trace of the model.
    """
    unknown = sorted(set(done) - set(WORDS))
    if unknown:
        raise InvalidInputError(f"done has {unknown[0]!r}; give some of {', '.join(WORDS)}", field="done")
    attention, residual = plan.model.attention_scale, plan.model.residual_multiplier
    if _changes(attention) and "attention_scale" not in done:
        assert attention is not None  # noqa: S101 - it changes
        _refuse_attention(model, attention, inputs)
    if _changes(residual) and "residual_multiplier" not in done:
        assert residual is not None  # noqa: S101 - it changes
        raise InvalidInputError(
            f"the plan multiplies every residual branch by {residual.multiplier:.6g} ({residual.reason}), which no "
            "hook can do: where a branch ends is known to the model's code alone. Multiply there (Granite: "
            'residual_multiplier), then say done=("residual_multiplier",)',
            field="model",
        )


def _changes(quantity: ModelQuantity | None) -> bool:
    return quantity is not None and not math.isclose(quantity.multiplier, 1.0, rel_tol=_SAME)


def _refuse_attention(model: nn.Module, wanted: ModelQuantity, inputs: Inputs) -> None:
    attentions = trace(model, inputs).attentions
    if wanted.value is None:
        raise InvalidInputError(
            f"the plan multiplies query·key by {wanted.multiplier:.6g} next to the code's own scale: set it, "
            f'{_HOW}, then say done=("attention_scale",)',
            field="model",
        )
    for attention in attentions:
        if attention.scale is None or not math.isclose(attention.scale, wanted.value, rel_tol=_SAME):
            now = "an unknown number" if attention.scale is None else f"{attention.scale:.6g}"
            raise InvalidInputError(
                f"{attention.where or 'the attention'} (×{attention.count}) multiplies query·key by {now}, and the "
                f"plan wants {wanted.value:.6g}: set it {_HOW}. If it is set and a trace can't tell, say "
                'done=("attention_scale",)',
                field="model",
            )
