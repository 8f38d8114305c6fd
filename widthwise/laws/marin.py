"""Marin's two rules for optimizers that keep the norm of every matrix (marin-community/marin)."""

import math

from widthwise.laws.law import Place, PublishedLaw, number

SEQUENCE = 4096  # tokens: both rules count batches in sequences of this length


def _sequences(place: Place) -> float:
    return number(place, "batch_tokens") / SEQUENCE


def _adamh(place: Place) -> float:
    rate = 0.0063 * math.sqrt(_sequences(place) / 64) * (2.5e9 / number(place, "tokens")) ** 0.3
    return min(float(rate), 0.01)


def _muonh(place: Place) -> float:
    rate = 18.31 * number(place, "tokens") ** -0.395 * number(place, "width") ** -0.150 * math.sqrt(_sequences(place))
    return min(float(rate), 0.05)


ADAMH = PublishedLaw(
    name="marin_adamh",
    title="Marin AdamH",
    source="marin-community/marin, experiments/scaling_law_sweeps/completed_adamh.py",
    formula="0.0063·√(B/64)·(2.5e9/D)^0.3, at most 0.01 (B sequences of 4,096, D tokens)",
    setting="AdamH, linear decay over the last fifth, depth tied to the width",
    needs=("tokens", "batch_tokens"),
    rate=_adamh,
    optimizers=("adamh",),
    ranges={"batch_tokens": (8 * SEQUENCE, 8192 * SEQUENCE), "tokens_per_parameter": (0, 250)},  # its own limits
)
MUONH = PublishedLaw(
    name="marin_muonh",
    title="Marin MuonH",
    source="marin-community/marin, issues 5951 and 6044",
    formula="18.31·D^−0.395·d^−0.150·√B, at most 0.05 (D tokens, d width, B sequences of 4,096)",
    setting="MuonH on matrices, mixtures of experts; 17 cells. The groups under Adam take 3/13 of it",
    needs=("tokens", "width", "batch_tokens"),
    rate=_muonh,
    optimizers=("muonh",),
    kind="moe",
    ranges={"width": (512, 1280), "tokens_per_parameter": (4, 240)},  # issue 6044: of the cells that were fitted
)
