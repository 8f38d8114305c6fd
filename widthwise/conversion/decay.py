"""Weight decay in another mode, at one learning rate.

A step takes η·λ off a weight (decoupled), λ (independent), or λ·W enters the gradient (coupled). Decoupled and
independent are one at a constant η. Coupled decay is the decoupled one under SGD; under Adam it is divided by the
gradient's size, so that no λ is the same for two tensors or two moments of a training: there is nothing to convert.
"""

import math

from widthwise.conversion.converted import Converted
from widthwise.errors import InvalidInputError
from widthwise.theory.optimizers import OPTIMIZERS, decay_mode_in_force
from widthwise.vocabulary import Optimizer, WeightDecayMode, known_word


def convert_decay(
    weight_decay: float,
    *,
    optimizer: Optimizer | str,
    learning_rate: float,
    source: WeightDecayMode | str,
    target: WeightDecayMode | str,
) -> Converted:
    """Return the λ in mode `target` that takes as much off a weight in a step as `weight_decay` in mode `source`.

    learning_rate: above 0, the peak if it is scheduled. Raises InvalidInputError for numbers out of range, and where
    coupled decay has no counterpart.

    >>> convert_decay(0.1, optimizer="adamw", learning_rate=3e-3, source="decoupled", target="independent").value
    0.00030000000000000003
    """
    for name, value, least in (("weight_decay", weight_decay, 0.0), ("learning_rate", learning_rate, math.ulp(0.0))):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value < math.inf:
            raise InvalidInputError(
                f"{name} is {value!r}; give a number {'≥' if least == 0 else 'above'} 0", field=name
            )
    word = known_word(Optimizer, optimizer, "optimizer")
    given = known_word(WeightDecayMode, source, "source")
    wanted = known_word(WeightDecayMode, target, "target")
    one, other = decay_mode_in_force(word, given), decay_mode_in_force(word, wanted)
    if one is other:
        said = "the same mode" if given is wanted else f"under {OPTIMIZERS[word].label} both are one update"
        return Converted(float(weight_decay), exact=True, reason=said)
    if point := OPTIMIZERS[word].decay_point:
        raise InvalidInputError(
            f"the decay of {OPTIMIZERS[word].label} {point}, so that no λ of another mode is the same: tune it again",
            field="optimizer",
        )
    if WeightDecayMode.COUPLED in (one, other):
        raise InvalidInputError(
            f"{given.value} decay of {OPTIMIZERS[word].label} has no {wanted.value} counterpart: coupled decay is "
            "divided by the size of each tensor's gradient, which changes through training; tune it again",
            field="target",
        )
    factor = learning_rate if one is WeightDecayMode.DECOUPLED else 1 / learning_rate
    return Converted(
        weight_decay * factor,
        exact=False,
        reason="η·λ of decoupled decay is independent decay's λ: exact at a constant learning rate; under a schedule "
        "decoupled decay falls with it and independent decay does not",
    )
