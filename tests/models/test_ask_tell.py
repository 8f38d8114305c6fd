"""Ask and tell end to end in plain PyTorch: the optimum of the full grid, for a third of its runs."""

import math
from collections.abc import Mapping
from functools import cache

import torch

from widthwise.sweeps import Sweep, SweepRun, fit_sweep
from widthwise.sweeps.fit import SweepFit

WIDTHS = (16, 32, 64)
WIDEST = {"width": 256}
RATES = [2.0 ** (-11 + step / 2) for step in range(17)]  # a factor of √2 apart, over eight octaves
WORDS, CONTEXT, STEPS, BATCH = 24, 2, 60, 256


def texts(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of words and the word that follows, drawn from a table that never changes."""
    table = torch.randn(WORDS, WORDS, WORDS, generator=torch.Generator().manual_seed(1)).mul(1.5).softmax(-1)
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(WORDS, (count, CONTEXT), generator=generator)
    return pairs, torch.multinomial(table[pairs[:, 0], pairs[:, 1]], 1, generator=generator)[:, 0]


@cache
def train(width: int, learning_rate: float, seed: int) -> float:
    """Train a small MLP on the next word, and return its loss on words that it has not seen."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Embedding(WORDS, width),
        torch.nn.Flatten(),
        torch.nn.Linear(CONTEXT * width, 4 * width),
        torch.nn.ReLU(),
        torch.nn.Linear(4 * width, WORDS),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
    words, following = texts(STEPS * BATCH, seed=2)
    for batch, labels in zip(words.split(BATCH), following.split(BATCH), strict=True):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), labels).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        words, following = texts(8192, seed=3)
        return torch.nn.functional.cross_entropy(model(words), following).item()


def optimum(fit: SweepFit, place: Mapping[str, float]) -> tuple[float, float]:
    """log2 of the best learning rate at a place, and half of its interval."""
    own = next((one for one in fit.optima if one.axes == place), None)
    found = own or fit.predict(**place)
    low, high = found.interval
    return math.log2(found.learning_rate), math.log2(high / low) / 2


def test_a_third_of_the_grid_finds_its_optimum() -> None:
    third = len(WIDTHS) * len(RATES) // 3
    sweep = Sweep(axes={"width": WIDTHS}, learning_rates=RATES, target=WIDEST, cost="1", budget=third)
    while not sweep.done:
        for run in sweep.ask():
            sweep.tell(run, train(run.axes["width"], run.learning_rate, run.seed))
    grid = fit_sweep([SweepRun(rate, train(width, rate, 0), {"width": width}) for width in WIDTHS for rate in RATES])
    assert len(sweep.runs) <= third
    (expected, grid_error), (found, error) = optimum(grid, WIDEST), optimum(sweep.fit(), WIDEST)
    assert abs(found - expected) <= math.hypot(grid_error, error)
    for place in (*({"width": width} for width in WIDTHS), WIDEST):  # and not because the errors are large
        assert abs(optimum(grid, place)[0] - optimum(sweep.fit(), place)[0]) < 0.4
