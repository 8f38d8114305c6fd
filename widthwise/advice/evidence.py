"""The published losses that a ranking rests on: Everett et al. 2024, at two sizes, one table."""

from typing import NamedTuple

from widthwise.vocabulary import Optimizer, Parameterization

SOURCE = "Everett et al. 2024, 2407.05872, lowest evaluation losses"
SETTING = "decoder-only transformers of 8 blocks on C4, 50,000 steps of 131,072 tokens"
SMALLER, LARGER = 1.1e9, 26.8e9  # parameters of the two models


class Losses(NamedTuple):
    """The lowest loss of one choice at both sizes."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: str | None  #: of the rates by layer; None: one rate for all tensors
    epsilon_by_layer: bool
    smaller: float | None  #: at 1.1B parameters; None: not read
    larger: float  #: at 26.8B


def _of(parameterization: Parameterization, smaller: str, larger: str) -> tuple[Losses, ...]:
    """The five columns of a row: one rate; full; none; full and none with ε by layer."""
    columns = ((None, False), ("full", False), ("none", False), ("full", True), ("none", True))
    pairs = zip(columns, map(float, smaller.split()), map(float, larger.split()), strict=True)
    return tuple(
        Losses(parameterization, Optimizer.ADAM, alignment, by_layer, at_smaller, at_larger)
        for (alignment, by_layer), at_smaller, at_larger in pairs
    )


LOSSES: tuple[Losses, ...] = (
    *_of(Parameterization.STANDARD, "2.776 2.757 2.758 2.757 2.758", "2.625 2.572 2.575 2.573 2.576"),
    *_of(Parameterization.NTK, "2.782 2.764 2.763 2.761 2.763", "2.592 2.591 2.581 2.576 2.577"),
    *_of(Parameterization.MUP, "2.822 2.774 2.771 2.773 2.770", "2.727 2.599 2.590 2.601 2.590"),
    *_of(Parameterization.MEAN_FIELD, "2.816 2.793 2.787 2.778 2.780", "2.638 2.633 2.638 2.590 2.583"),
    Losses(Parameterization.NTK, Optimizer.ADAM_PARAMETER_SCALING, "none", True, None, 2.554),
)

#: What is known besides, by parameterization, with its source.
REMARKS = {
    Parameterization.STANDARD: (
        "with full alignment the logits drift with width if the readout's ω is really 1, and it fails with a small "
        "output dimension or a squared loss; a zero-initialised readout or muP avoids that (Haas et al. 2025, "
        "2505.22491). In a replication its loss is 3 to 5 % below that of one global rate at widths 512 to 4,096, and "
        "below muP's (Essential AI, 2026)"
    ),
    Parameterization.MUP: (
        "safe where the logits of the standard parameterization drift (2505.22491); most of its gain under AdamW may "
        "be that the embedding's rate stays high (2605.21486)"
    ),
    Parameterization.NTK: "equivalent to SP under full alignment: the same losses to four digits in our proxies",
    Parameterization.MEAN_FIELD: "equivalent to muP under full alignment: the same losses to 4 digits in our proxies",
}
#: Our own measurement at proxy size, where muP comes out ahead of SP.
PROXY = (
    "a byte-level MLP of width 256, each at its best rate: SP with one rate 1.825, by layer with none 1.811 and full "
    "1.790; muP 1.772"
)
PROXY_SOURCE = "our own runs: Adam-atan2, 200 steps, two seeds"
SGD = "SGD is 0.5 to 1.2 nats behind Adam there, and not monotone in size (Everett et al. 2024, 2407.05872)"
