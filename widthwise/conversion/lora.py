"""LoRA's alpha in another scale of its product: alpha/r (LoRA) or alpha/√r (rsLoRA, Kalajdzievski 2023, 2312.03732)."""

import math

from widthwise.conversion.converted import Converted
from widthwise.errors import InvalidInputError

SCALES = ("lora", "rslora")
LORA_PLUS_RATIO = 16.0  # η_B/η_A, LoRA+ (Hayou et al. 2024, 2402.12354), as PEFT's loraplus_lr_ratio


def convert_lora_alpha(alpha: float, *, rank: int, source: str, target: str) -> Converted:
    """Return the alpha that multiplies B·A by the same number under the other scale: exact at this rank alone.

    source, target: lora or rslora. alpha: above 0; rank: at least 1. Raises InvalidInputError for numbers out of range
    and other words.

    >>> convert_lora_alpha(32, rank=16, source="lora", target="rslora").value
    8.0
    """
    for name, word in (("source", source), ("target", target)):
        if word not in SCALES:
            raise InvalidInputError(f"{name} is {word!r}; give one of {', '.join(SCALES)}", field=name)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        raise InvalidInputError(f"alpha is {alpha!r}; give a number above 0", field="alpha")
    if type(rank) is not int or rank < 1:
        raise InvalidInputError(f"rank is {rank!r}; give an integer of at least 1", field="rank")
    divisor = {"lora": float(rank), "rslora": math.sqrt(rank)}
    return Converted(
        alpha / divisor[source] * divisor[target],
        exact=True,
        reason=f"alpha/r and alpha/√r are the same number at rank {rank}; at another rank they part",
    )


def convert_lora_plus(learning_rate: float, *, ratio: float = LORA_PLUS_RATIO) -> Converted:
    """Return B's learning rate next to A's under LoRA+: it does not depend on the rank.

    learning_rate: of A, above 0. ratio: above 0. Raises InvalidInputError for other numbers.

    >>> convert_lora_plus(1e-4).value
    0.0016
    """
    for name, value in (("learning_rate", learning_rate), ("ratio", ratio)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InvalidInputError(f"{name} is {value!r}; give a number above 0", field=name)
    return Converted(
        learning_rate * ratio, exact=False, reason=f"LoRA+: η of B is {ratio:g} times that of A, whatever the rank"
    )
