"""The window of an optimum next to the first or the last learning rate."""

import numpy as np
import pytest

from tests.unit.estimate.synthetic import parabola
from widthwise.estimate import fit_optimum


@pytest.mark.parametrize("side", [1, -1])
def test_a_vertex_next_to_the_last_learning_rate_has_the_window_of_the_one_before(side: int) -> None:
    """The last is the nearest to it, and has no neighbour beyond; so the window is about the last but one."""
    x = np.arange(-12.0, -7.9, 0.25)
    loss = parabola(x, -8.05)
    loss[-1] += 0.06 * 0.045  # so that the last but one is the lowest
    assert np.argmin(loss) == x.size - 2
    found = fit_optimum(2.0 ** np.sort(side * x), loss if side > 0 else loss[::-1])
    assert abs(side * found.log2_learning_rate + 8) < 0.125
    assert found.window is not None
    assert sorted(side * np.log2(found.window)) == [-9.25, -8.0]
