"""DeepSeek LLM's law over compute: Bi et al. 2024, 2401.02954, equation 1."""

from widthwise.laws.law import DERIVED, Place, PublishedLaw

COEFFICIENT, OVER_FLOPS = 0.3118, -0.125  # equation 1
BATCH_COEFFICIENT, BATCH_OVER_FLOPS = 0.2920, 0.3271  # equation 1, tokens
_flops = DERIVED["flops"][1]


def _rate(place: Place) -> float:
    return float(COEFFICIENT * _flops(place) ** OVER_FLOPS)


def _best_batch(place: Place) -> float:
    return float(BATCH_COEFFICIENT * _flops(place) ** BATCH_OVER_FLOPS)


DEEPSEEK = PublishedLaw(
    name="deepseek",
    title="DeepSeek LLM",
    source="Bi et al. 2024, 2401.02954, eq. 1",
    formula="0.3118·C^−0.125 (C = 6·N·D FLOPs, N parameters without embeddings, D tokens)",
    setting="AdamW (0.9, 0.95), decay 0.1, a schedule of three steps, at the best batch 0.2920·C^0.3271 tokens",
    needs=("parameters", "tokens"),
    rate=_rate,
    optimizers=("adamw",),
    ranges={"flops": (1e17, 8.1e23)},  # fitted to 2e19; its authors trained 67B on 2T tokens with it
    best_batch=_best_batch,
)
