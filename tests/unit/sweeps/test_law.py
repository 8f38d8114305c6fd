"""The law over the axes, its priors and the residual beyond it."""

import numpy as np
import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepRun
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.law import law_over
from widthwise.sweeps.residual import correlation, residual_features

PLACES = [
    {"tokens": d, "batch_tokens": b, "optimizer": o}
    for d in (1e9, 4e9)
    for b in (2e5, 4e5, 8e5)
    for o in ("adam", "lion")
]


def cells(places):
    return cells_of([SweepRun(1e-3 * 2**k, 3 + 0.1 * k * k, place) for place in places for k in (-1, 0, 1)])


def names(law):
    return [term.name for term in law.terms]


def test_derivatives_are_those_of_the_law() -> None:
    law = law_over(cells(PLACES))
    at = law.at(PLACES)
    theta = law.prior_mean + 0.3 * np.arange(law.prior_mean.size) / 10
    _, jacobian = at(theta)
    for index in range(theta.size):
        step = np.zeros(theta.size)
        step[index] = 1e-5
        assert (at(theta + step)[0] - at(theta - step)[0]) / 2e-5 == pytest.approx(jacobian[:, index], abs=1e-6)


def test_the_batch_saturates_and_turns_the_tokens_exponent() -> None:
    law = law_over(cells(PLACES))
    theta = law.prior_mean
    theta[names(law).index("tokens")] = 0.2
    p, c1 = (theta[names(law).index(name)] for name in ("batch_exponent", "saturation_exponent"))

    def mu(tokens, batch):
        return float(law.at([{"tokens": tokens, "batch_tokens": batch, "optimizer": "adam"}])(theta)[0][0])

    assert mu(1e9, 2e3) - mu(1e9, 1e3) == pytest.approx(p, abs=0.01)
    assert mu(1e9, 2e9) - mu(1e9, 1e9) == pytest.approx(0, abs=0.01)
    assert mu(2e9, 1e3) - mu(1e9, 1e3) == pytest.approx(0.2 - p * c1, abs=0.01)
    assert mu(2e9, 1e9) - mu(1e9, 1e9) == pytest.approx(0.2, abs=0.01)


def test_priors_follow_what_the_data_can_show() -> None:
    def prior(places, name, **options):
        law = law_over(cells(places), **options)
        return next((term.mean, term.standard_deviation) for term in law.terms if term.name == name)

    two = [place for place in PLACES if place["batch_tokens"] < 5e5]
    assert prior(PLACES, "tokens") == (0.0, 0.35)
    assert prior(two, "tokens") == (-0.2, 0.3)
    assert prior(two, "batch_tokens") == (0.35, 0.35)
    assert "batch_tokens" not in names(law_over(cells(PLACES)))
    assert prior([{"batch_tokens": b} for b in (1e5, 2e5, 4e5)], "batch_exponent") == (0.6, 0.25)
    assert "saturation_exponent" not in names(law_over(cells([{"batch_tokens": b} for b in (1e5, 2e5, 4e5)])))
    widths = [{"width": n, "learners": 2.0} for n in (64.0, 128.0)]
    assert prior(widths, "width") == prior(widths, "learners") == (0.0, 0.5)
    assert prior(widths, "width", prescribed=["width"]) == (0.0, 0.15)
    assert prior(PLACES, "optimizer=lion") == (0.0, 0.6)


def test_a_prescribed_axis_must_be_one() -> None:
    with pytest.raises(InvalidInputError, match=r"prescribed names 'depth'; give axes .*\['tokens', 'batch_tokens'\]"):
        law_over(cells(PLACES), prescribed=["depth"])


def test_features_stand_for_the_process() -> None:
    features = residual_features(PLACES)
    plain = correlation(PLACES, PLACES)
    assert features.at_cells @ features.at_cells.T == pytest.approx(plain, abs=1e-4)
    assert np.diag(plain) == pytest.approx(np.ones(len(PLACES)))
    assert plain[0, 1] == 0.0  # another optimizer
    assert plain[0, 6] == pytest.approx(np.exp(-((2 / 3) ** 2) / 2))  # two octaves of tokens
    again, left = features.at(PLACES)
    assert again == pytest.approx(features.at_cells, abs=1e-3)
    assert left == pytest.approx(np.zeros(len(PLACES)), abs=1e-3)
    _, far = features.at([{"tokens": 1e15, "batch_tokens": 2e5, "optimizer": "adam"}])
    assert far == pytest.approx([1.0], abs=1e-3)
