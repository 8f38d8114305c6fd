"""The law of the optimum over the axes: powers of each axis, offsets of groups, and a batch that saturates.

With z = log2 of an axis minus its mean over the cells, B the batch and D the tokens:

    μ = a + Σ_k b_k·z_k + Σ offsets − (p/q)·log2(1 + 2^(q·(c₀ + c₁·z_D − log2 B)))

The last term makes the best rate grow as B^p far below the saturation batch B_c = 2^c₀·(D/D̄)^c₁ and stay constant
above it; q is how sharp the turn is. (McCandlish et al. 2018, 1812.06162, section 2.2, derive it for SGD: p = q = 1.)
Since B_c grows with D, the exponent over tokens changes sign with the batch: below saturation more tokens ask for a
lower rate, above it for a higher one. With fewer than three batches the data can't show a saturation, and the batch is
an axis like the others.

Every parameter has a normal prior, settled on public sweeps (Step Law 2503.04715, Tinker's LoRA sweeps and others).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.sweeps.cell import Floats, SweepCell, lowest_rates

#: Mean and standard deviation of the exponent over an axis.
EXPONENT_PRIORS = {"parameters": (-0.4, 0.4), "depth": (0.0, 0.5), "rank": (0.0, 0.3), "width": (0.0, 0.5)}
OTHER_EXPONENT = (0.0, 0.5)  # an axis of which nothing is known
PRESCRIBED_EXPONENT = (0.0, 0.15)  # an axis for which the parameterization already scales the rates
TOKENS_AT_PLATEAU = (0.0, 0.35)  # of tokens, if the batch saturates
TOKENS_ALONE = (-0.2, 0.3)  # of tokens, otherwise
BATCH_ALONE = (0.35, 0.35)  # of the batch, if it doesn't saturate
OFFSET = (0.0, 0.6)  # of one level of a group
LEVEL_SD = 4.0  # octaves, of a
LEVEL_QUANTILE = 0.8  # of the lowest rates: a is the plateau, which most cells lie below
BATCH_EXPONENT = (0.6, 0.25)  # p
SATURATION_SD = 1.5  # octaves, of c₀ about the median batch
SATURATION_EXPONENT = (0.6, 0.35)  # c₁
LOG_SHARPNESS = (np.log(2.0), 0.4)  # log q
FEWEST_BATCHES = 3


@dataclass(frozen=True)
class LawTerm:
    """A parameter of the law and its normal prior."""

    name: str  #: "level", an axis, "group=level", "batch_exponent", "saturation_batch", …
    mean: float
    standard_deviation: float


@dataclass(frozen=True)
class Law:
    """The parameters of the law, in the order of θ, and what turns axes into a design."""

    numbers: Mapping[str, float]  #: every axis with a power, and the mean of its log2
    groups: Mapping[str, tuple[str, ...]]  #: every group and its levels
    mean_log_tokens: float | None  #: of z_D; None without tokens
    saturates: bool
    terms: tuple[LawTerm, ...]

    def linear(self, places: Sequence[Mapping[str, float | str]]) -> Floats:
        """Return the columns of a, b and the offsets at some places, (C, T₁)."""
        columns = [np.ones(len(places))]
        columns += [log2_axis(places, name) - mean for name, mean in self.numbers.items()]
        for name, levels in self.groups.items():
            columns += [np.array([float(place[name] == level) for place in places]) for level in levels]
        return np.column_stack(columns)

    def unknown_levels(self, place: Mapping[str, float | str]) -> int:
        """Return how many groups have a level here that no cell has."""
        return sum(place[name] not in levels for name, levels in self.groups.items())

    def at(self, places: Sequence[Mapping[str, float | str]]) -> "LawAt":
        """Return the law at some places, as a function of θ."""
        batch = log2_axis(places, "batch_tokens") if self.saturates else None
        tokens = None
        if self.mean_log_tokens is not None and self.saturates:
            tokens = log2_axis(places, "tokens") - self.mean_log_tokens
        return LawAt(self.linear(places), batch, tokens)

    @property
    def prior_mean(self) -> Floats:
        """The prior means of θ."""
        return np.array([term.mean for term in self.terms])

    @property
    def prior_sd(self) -> Floats:
        """The prior standard deviations of θ."""
        return np.array([term.standard_deviation for term in self.terms])


@dataclass(frozen=True)
class LawAt:
    """The law at C places."""

    linear: Floats  #: (C, T₁), columns of a, b and the offsets
    log_batch: Floats | None  #: (C,), log2 B if the batch saturates
    z_tokens: Floats | None  #: (C,), z_D if the batch saturates and there are tokens

    def __call__(self, theta_T: Floats) -> tuple[Floats, Floats]:
        """Return μ, (C,), and its derivatives by θ, (C, T)."""
        plain = self.linear.shape[1]
        mean_C = self.linear @ theta_T[:plain]
        if self.log_batch is None:
            return mean_C, self.linear
        p, c0, log_q = theta_T[plain : plain + 3]
        q = np.exp(log_q)
        u_C = c0 - self.log_batch
        if self.z_tokens is not None:
            u_C = u_C + theta_T[-1] * self.z_tokens
        softplus_C = np.logaddexp2(0, q * u_C)  # log2(1 + 2^(q·u))
        slope_C = np.exp2(q * u_C - softplus_C)  # its derivative by q·u, from 0 above saturation to 1 below
        columns = [-softplus_C / q, -p * slope_C, p * softplus_C / q - p * slope_C * u_C]
        if self.z_tokens is not None:
            columns.append(-p * slope_C * self.z_tokens)
        return np.asarray(mean_C - p / q * softplus_C), np.column_stack([self.linear, *columns])


def log2_axis(places: Sequence[Mapping[str, float | str]], name: str) -> Floats:
    """Return log2 of one axis at every place, (C,)."""
    return np.asarray(np.log2([float(place[name]) for place in places]))


def law_over(cells: Sequence[SweepCell], prescribed: Collection[str] = ()) -> Law:
    """Return the law over the axes of the cells with its priors.

    prescribed: axes for which the parameterization already scales the learning rates, such as width under muP.
    """
    first = cells[0].axes
    for name in prescribed:
        if name not in first or isinstance(first[name], str):
            numbers = [axis for axis, value in first.items() if not isinstance(value, str)]
            raise InvalidInputError(
                f"prescribed names {name!r}; give axes of the runs with numbers: {numbers}", field="prescribed"
            )
    places = [cell.axes for cell in cells]
    words = [name for name, value in first.items() if isinstance(value, str)]
    numbers = [name for name, value in first.items() if not isinstance(value, str)]
    groups = {name: tuple(sorted({str(place[name]) for place in places})) for name in words}
    saturates = "batch_tokens" in numbers and len({place["batch_tokens"] for place in places}) >= FEWEST_BATCHES
    powers = [name for name in numbers if not (saturates and name == "batch_tokens")]
    terms = [LawTerm("level", float(np.quantile(lowest_rates(cells), LEVEL_QUANTILE)), LEVEL_SD)]
    terms += [LawTerm(name, *_exponent_prior(name, saturates, name in prescribed)) for name in powers]
    terms += [LawTerm(f"{name}={level}", *OFFSET) for name, levels in groups.items() for level in levels]
    if saturates:
        middle = float(np.median(log2_axis(places, "batch_tokens")))
        terms += [
            LawTerm("batch_exponent", *BATCH_EXPONENT),
            LawTerm("saturation_batch", middle, SATURATION_SD),
            LawTerm("log_sharpness", *LOG_SHARPNESS),
        ]
        if "tokens" in numbers:
            terms.append(LawTerm("saturation_exponent", *SATURATION_EXPONENT))
    means = {name: float(np.mean(log2_axis(places, name))) for name in powers}
    return Law(means, groups, means.get("tokens"), saturates, tuple(terms))


def _exponent_prior(name: str, saturates: bool, prescribed: bool) -> tuple[float, float]:
    if prescribed:
        return PRESCRIBED_EXPONENT
    if name == "tokens":
        return TOKENS_AT_PLATEAU if saturates else TOKENS_ALONE
    if name == "batch_tokens":
        return BATCH_ALONE
    return EXPONENT_PRIORS.get(name, OTHER_EXPONENT)
