"""The exponents that a sweep measured, for a transfer in the setting that its runs were trained in."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.model import Base, Target
from widthwise.rules.beyond_width.batch_power import BatchPower
from widthwise.rules.beyond_width.horizon import Horizon
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.exponents import Exponents
from widthwise.sweeps.cautions import MOSTLY_PRIOR
from widthwise.sweeps.fit import SweepFit
from widthwise.theory.alignment import Alignment, AlignmentLike, parse
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role

WIDTH, GROWS_WITH_WIDTH = "width", "parameters"
#: Beyond width: the axis that each rule follows, and the terms of the law that its exponent comes from.
AXES = {About.BATCH: "batch_tokens", About.TOKENS: "tokens"}
SIZES = ("width", "depth", "batch_tokens", "tokens")  #: axes that a transfer states
TERMS = {"batch_tokens": ("batch_tokens", "batch_exponent")}
ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT, Role.VECTOR)  # a scalar has no axis that grows


@dataclass(frozen=True)
class SweepSetting:
    """How the models of a sweep were trained.

    If `prescribed`, the learning rates are base rates, and each tensor trained with what theory prescribes for its
    width times the base rate; the measured exponent is then what remains. If not, one rate was used for every tensor.
    """

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: Alignment
    form: Form = Form.TABLE_9
    prescribed: bool = False

    @classmethod
    def of(
        cls,
        parameterization: Parameterization | str,
        optimizer: Optimizer | str,
        alignment: AlignmentLike = "full",
        *,
        readout_omega: float | None = None,
        form: Form | str = Form.TABLE_9,
        prescribed: bool = False,
    ) -> "SweepSetting":
        """Return the setting that these words name; InvalidInputError for a form that the parameterization lacks."""
        kind, optimizer, form = Parameterization(parameterization), Optimizer(optimizer), Form(form)
        theoretical_exponents(kind, optimizer, form=form)  # refuses a form
        return cls(kind, optimizer, parse(alignment, readout_omega), form, prescribed)


@dataclass(frozen=True)
class AxisExponent:
    """The power of one axis that the best learning rate goes as, around a place."""

    axis: str
    value: float  #: e in rate ∝ axis^e
    interval: tuple[float, float]  #: 95 %
    learnt: float  #: share of the prior's variance that the data removed
    low: float  #: the axis's smallest value in the sweep
    high: float


def exponent_over(fit: SweepFit, axis: str, place: Mapping[str, float | str] | None = None) -> AxisExponent:
    """Return the exponent over an axis of numbers, at a place or, by default, in the middle of the cells.

    Raises InvalidInputError if the sweep has no such axis, and EstimateError if it has one value, or if less than half
    of the exponent comes from the data.
    """
    values = [cell.axes.get(axis) for cell in fit.cells]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        raise InvalidInputError(
            f"the sweep has no axis {axis!r} of numbers (it has {', '.join(fit.cells[0].axes) or 'none'}), so it can't "
            f"say how the learning rate goes with it; upload one whose runs have a {axis}",
            field="axis",
        )
    low, high = min(numbers), max(numbers)
    value, interval = fit.exponent(axis, **(place or middle(fit)))
    learnt = next((term.learnt for term in fit.law if term.name in TERMS.get(axis, (axis,))), 0.0)
    if learnt < MOSTLY_PRIOR:
        raise EstimateError(
            f"the sweep's exponent over {axis}, {value:.3f} ({interval[0]:.3f} to {interval[1]:.3f}), is mostly prior: "
            f"the data removed {learnt:.0%} of its variance. Its cells have {axis} {low:g} to {high:g}; add cells that "
            "differ more, or more learning rates"
        )
    return AxisExponent(axis, value, interval, learnt, low, high)


def middle(fit: SweepFit) -> dict[str, float | str]:
    """Return the middle of the cells: the geometric mean of numbers, the most frequent word."""
    found: dict[str, float | str] = {}
    for name, first in fit.cells[0].axes.items():
        values = [cell.axes[name] for cell in fit.cells]
        if isinstance(first, str):
            found[name] = Counter(values).most_common(1)[0][0]
        else:
            found[name] = math.exp(math.fsum(math.log(float(value)) for value in values) / len(values))
    return found


def width_exponents(fit: SweepFit, setting: SweepSetting, details: Mapping[str, Any] | None = None) -> Exponents:
    """Return the learning-rate exponents by role that a transfer uses instead of theory's.

    The rate goes as width^e. With prescribed rates each role has theory's exponent c minus e; otherwise every role has
    −e, since all tensors shared one rate. details: named in the plan's provenance, with the exponent, its interval
    and the sweep's warnings. Raises what `exponent_over` does, and InvalidInputError if the number of parameters is an
    axis as well: the exponent over width would be the one at constant parameters, which no wider model has.
    """
    sizes = {cell.axes.get(GROWS_WITH_WIDTH) for cell in fit.cells}
    if len(sizes) > 1:
        raise InvalidInputError(
            f"the sweep has {GROWS_WITH_WIDTH} as an axis, so its exponent over width is the one at constant "
            f"{GROWS_WITH_WIDTH}; read its runs without {GROWS_WITH_WIDTH} (`without`, --without)",
            field="axis",
        )
    found = exponent_over(fit, WIDTH)
    theory = theoretical_exponents(setting.parameterization, setting.optimizer, setting.alignment, form=setting.form)
    prescribed = {role: float(theory[role].c) if setting.prescribed else 0.0 for role in ROLES}
    low, high = found.interval
    return Exponents(
        learning_rate={role: c - found.value for role, c in prescribed.items()},
        form=setting.form,
        source="sweep",
        widths=[round(found.low), round(found.high)],
        intervals={role: (c - high, c - low) for role, c in prescribed.items()},
        cautions=fit.warnings,
        details={
            **(details or {}),
            "prescribed": setting.prescribed,
            "over": {WIDTH: {**asdict(found), "interval": list(found.interval)}},
            "warnings": [caution._asdict() for caution in fit.warnings],
        },
    )


def measured_rule(fit: SweepFit, about: About, base: Base, target: Target, measured: str) -> NamedRule:
    """Return the rule about batch or tokens that follows a sweep between the sizes of a base and a target.

    measured: names the sweep. The law's exponents over batch and tokens depend on the place, so the one at the middle
    between base and target is taken, in log2 of every size that both state. Raises what `exponent_over` does.
    """
    if about not in AXES:
        raise InvalidInputError(
            f"rules.{about.value} is 'measured', which there is for {' and '.join(AXES)}", field=f"rules.{about.value}"
        )
    found = exponent_over(fit, AXES[about], between(fit, base, target))
    low, high = found.interval
    if about is About.BATCH:
        return BatchPower(found.value, found.interval, measured)
    return Horizon(-found.value, (-high, -low), measured)


def between(fit: SweepFit, base: Base, target: Target) -> dict[str, float | str]:
    """Return the place in the middle between base and target; of sizes that they don't both state, of the cells."""
    found = middle(fit)
    for name in SIZES:
        low, high = getattr(base, name), getattr(target, name)
        if low is not None and high is not None and isinstance(found.get(name), float):
            found[name] = math.sqrt(float(low) * float(high))
    return found
