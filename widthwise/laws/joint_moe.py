"""The joint law of dense models and mixtures of experts: Ludziejewski et al. 2025, 2502.05172."""

import math

from widthwise.laws.law import Place, PublishedLaw, number


def _rate(place: Place) -> float:
    return math.exp(8.39 - 0.81 * math.log(number(place, "parameters")) - 0.25 * math.log(number(place, "experts")))


JOINT_MOE = PublishedLaw(
    name="joint_moe",
    title="Joint MoE law",
    source="Ludziejewski et al. 2025, 2502.05172",
    formula="exp(8.39 − 0.81·ln N − 0.25·ln E) (N active parameters without embeddings, E experts, 1 if dense)",
    setting="AdamW, over 280 runs",
    needs=("parameters", "experts"),
    rate=_rate,
    optimizers=("adamw",),
    kind="both",
    # Its abstract: up to 2.7B active parameters. The lower end is chosen: what could be read of it states none.
    ranges={"parameters": (1e8, 2.7e9), "experts": (1, 32)},
)
