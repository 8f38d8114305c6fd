"""Units of a sweep's axes: numbers that can't be in the unit that their axis is in."""

from collections.abc import Iterator, Mapping, Sequence

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.sweeps.cell import SweepCell

COUNTED = ("parameters", "tokens", "batch_tokens")  # axes that count something one by one
TYPED_IN_BILLIONS = 1e3  # chosen: no model has fewer parameters than this and trains on a million tokens
MANY = 1e6
MOST_STEPS = 2e6  # chosen: more steps than any run of a language model that was published
SHORT_BATCH = 4096  # tokens: with fewer, and more steps than that, a batch is probably counted in sequences
FEW_TOKENS = 0.01  # for each parameter (chosen): with fewer, they are probably steps


def unit_cautions(cells: Sequence[SweepCell]) -> Iterator[Caution]:
    """Yield a warning for every axis whose numbers look like another unit's, given the other axes."""
    spans = {name: _span(cells, name) for name in COUNTED if name in cells[0].axes}
    parameters, tokens, batch = (spans.get(name) for name in COUNTED)
    for name, other in (("parameters", tokens), ("tokens", parameters)):
        span = spans.get(name)
        if span and other and span[1] < TYPED_IN_BILLIONS and other[1] >= MANY:
            yield Caution(
                "units",
                f"{name} is {span[0]:g} to {span[1]:g}, as if in millions or billions; give the number in full, such "
                "as 7e9, or published laws don't apply.",
            )
    if tokens and batch and batch[1] < SHORT_BATCH and tokens[1] / batch[1] > MOST_STEPS:
        yield Caution(
            "units",
            f"batch_tokens is at most {batch[1]:g}, which makes {tokens[1] / batch[1]:.2g} steps; if it counts "
            "sequences, multiply it by their length.",
        )
    if parameters and tokens and "rank" not in cells[0].axes and parameters[0] >= MANY:
        fewest = min(_number(cell, "tokens") / _number(cell, "parameters") for cell in cells)
        if tokens[1] >= TYPED_IN_BILLIONS and fewest < FEW_TOKENS:
            yield Caution(
                "units",
                f"A cell has {fewest:.2g} tokens for each parameter; if tokens counts steps or sequences, multiply it "
                "by the tokens of each.",
            )


def check_place(place: Mapping[str, float | str], cells: Sequence[SweepCell]) -> None:
    """Refuse a place in another unit than the cells: 7 parameters where they have hundreds of millions."""
    for name in COUNTED:
        if name not in place:
            continue
        value, (low, high) = float(place[name]), _span(cells, name)
        typed_short = value < TYPED_IN_BILLIONS and low > TYPED_IN_BILLIONS * value
        typed_long = high < TYPED_IN_BILLIONS and value > TYPED_IN_BILLIONS * high
        if typed_short or typed_long:
            raise InvalidInputError(
                f"{name} is {value:g}, but the runs have {low:g} to {high:g}; give it in their unit, such as "
                f"{2 * high:.2g}",
                field=name,
            )


def _span(cells: Sequence[SweepCell], name: str) -> tuple[float, float]:
    values = [_number(cell, name) for cell in cells]
    return min(values), max(values)


def _number(cell: SweepCell, name: str) -> float:
    return float(cell.axes[name])
