"""Step Law: Li et al. 2025, "Predictable Scale: Part I", 2503.04715, equation 1."""

import math

from widthwise.laws.law import Place, PublishedLaw, Range, number

COEFFICIENT, OVER_PARAMETERS, OVER_TOKENS = 1.79, -0.713, 0.307  # equation 1
BATCH_COEFFICIENT, BATCH_OVER_TOKENS = 0.58, 0.571  # equation 1, tokens
#: Covariance of (log η, exponent of N, exponent of D) at the centre, from `python -m benchmarks.step_law_bootstrap`.
CENTRE = (3.33e8, 1.53e10)  # N and D, geometric means of the twelve
COVARIANCE = ((8.8e-4, 2.3e-4, 1.2e-4), (2.3e-4, 6.4e-3, -8.9e-4), (1.2e-4, -8.9e-4, 1.8e-3))
QUANTILE = 1.96  # of the normal distribution, 95 %


def _rate(place: Place) -> float:
    return float(COEFFICIENT * number(place, "parameters") ** OVER_PARAMETERS * number(place, "tokens") ** OVER_TOKENS)


def _best_batch(place: Place) -> float:
    return float(BATCH_COEFFICIENT * number(place, "tokens") ** BATCH_OVER_TOKENS)


def _interval(place: Place) -> Range:
    row = (
        1.0,
        math.log(number(place, "parameters") / CENTRE[0]),
        math.log(number(place, "tokens") / CENTRE[1]),
    )
    variance = sum(a * b * COVARIANCE[i][j] for i, a in enumerate(row) for j, b in enumerate(row))
    factor = math.exp(QUANTILE * math.sqrt(variance))
    rate = _rate(place)
    return rate / factor, rate * factor


STEP_LAW = PublishedLaw(
    name="step_law",
    title="Step Law",
    source="Li et al. 2025, 2503.04715, eq. 1",
    formula="1.79·N^−0.713·D^0.307 (N parameters without embeddings, D tokens)",
    setting="AdamW (0.9, 0.95), decay 0.1, cosine to a fixed 1e-5, sequences of 2,048, at the best batch 0.58·D^0.571",
    needs=("parameters", "tokens"),
    rate=_rate,
    optimizers=("adamw",),
    ranges={"parameters": (2.1e8, 1.08e9), "tokens": (4e9, 1e11)},  # of the grids that its authors fitted
    interval=_interval,
    interval_source="1,000 bootstraps over twelve of its grids of N and D; the law's own, without the scatter of cells",
    best_batch=_best_batch,
)
