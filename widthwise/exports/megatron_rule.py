"""Megatron-core's own muP as numbers, and its flags for a plan that is the same."""

import math

from widthwise.transfers.plan import Plan
from widthwise.vocabulary import QuantityName, Role

_SAME = 1e-6  # relative: rounding alone
#: By role, the power of the width ratio that Megatron-core 0.19's --use-mup multiplies each quantity by: hidden η/m,
#: ε/m and σ/√m, logits × 1/m, and everything else as at the base (megatron/core/optimizer and TransformerConfig).
_POWERS: dict[Role, dict[QuantityName, float]] = {
    Role.EMBEDDING: {},
    Role.HIDDEN: {"learning_rate": -1, "epsilon": -1, "init_std": -0.5},
    Role.READOUT: {"forward_multiplier": -1},
    Role.VECTOR: {},
    Role.SCALAR: {},
}
_QUANTITIES: tuple[QuantityName, ...] = (
    "learning_rate",
    "epsilon",
    "init_std",
    "forward_multiplier",
    "weight_decay",
)


def flags(plan: Plan) -> list[str]:
    """Return Megatron's flags if its own rule gives every value of the plan; none if it does not.

    The rule knows the hidden size alone: a plan with another ratio for the feed-forward part has no flags. What the
    base gave no value of (ε, weight decay) is not compared. ε of embeddings and readouts stays in Megatron's rule, and
    in a plan it follows the gradient.
    """
    hidden = [tensor for tensor in plan.tensors if tensor.role is Role.HIDDEN]
    embedding = next((tensor for tensor in plan.tensors if tensor.role is Role.EMBEDDING), None)
    if not hidden or embedding is None:
        return []
    ratio = 1 / hidden[0].learning_rate.multiplier
    for tensor in plan.tensors:
        powers = _POWERS[tensor.role]
        for name in _QUANTITIES:
            quantity = tensor.quantities.get(name)
            if quantity is None or (name in ("epsilon", "weight_decay") and not quantity.value):
                continue
            if not math.isclose(quantity.multiplier, ratio ** powers.get(name, 0.0), rel_tol=_SAME):
                return []
    base = embedding.fan_out / ratio
    if not math.isclose(base, round(base), rel_tol=_SAME):
        return []
    return ["--use-mup", "--mup-base-hidden-size", str(round(base))]
