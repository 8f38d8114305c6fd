"""The automatic learning rates: where they lie, and that they bracket what the engine finds."""

import math
from itertools import pairwise
from typing import Any

import jax
import pytest

from tests.engine.jobs import run_sweep
from widthwise.calibration.grids import default_learning_rates
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Optimizer
from workers.engine.optimizers import OPTIMIZERS
from workers.engine.proxies import ARCHITECTURES


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_architecture_has_an_even_ascending_grid(optimizer: Optimizer, architecture: str) -> None:
    rates = default_learning_rates(optimizer, architecture)
    ratios = [b / a for a, b in pairwise(rates)]
    assert all(math.isclose(ratio, 2**0.5) for ratio in ratios)
    assert len(rates) == 11


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_wider_base_has_lower_rates(optimizer: Optimizer) -> None:
    narrow, wide = (default_learning_rates(optimizer, "mlp", width) for width in (32, 512))
    assert wide[0] < narrow[0]
    assert set(narrow) & set(wide)  # on one lattice


def test_the_grid_brackets_the_optimum_of_a_short_run(spec: dict[str, Any]) -> None:
    rates = default_learning_rates("adam", "mlp", 16)
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        trials = run_sweep(spec, {"width": 16, "learning_rates": rates[::2], "seeds": [0]})
        losses = [math.inf if trial.loss is None else trial.loss for trial in trials]
    assert losses.index(min(losses)) not in (0, len(losses) - 1)


@pytest.mark.parametrize(
    ("optimizer", "architecture", "width", "field"),
    [
        ("sophia", "mlp", 32, "optimizer"),
        ("adan", "mlp", 32, "optimizer"),
        ("adam", "rnn", 32, "proxy.architecture"),
        ("adam", "mlp", 0, "widths"),
    ],
)
def test_what_was_not_measured_is_refused(optimizer: str, architecture: str, width: int, field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        default_learning_rates(optimizer, architecture, width)
    assert raised.value.field == field
