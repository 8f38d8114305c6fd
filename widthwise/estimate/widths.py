"""The optimum of every width that has trials, or why a width has none; also of other sweeps that share their shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate.curve import shared_errors
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.skew import corrected
from widthwise.estimate.surface import Surface, surfaces_by_width

#: Of an optimum that is only bounded: the edge of the learning rates, on which side of the bound it lies, what to add.
AT_AN_EDGE = {"upper_bound": ("smallest", "below", "smaller"), "lower_bound": ("largest", "above", "larger")}


@dataclass(frozen=True)
class WidthOptimum:
    """The optimum of one width, or why it has none."""

    surface: Surface
    optimum: Optimum | None
    reason: str | None = None

    @property
    def width(self) -> int:
        """The width of the model."""
        return self.surface.width

    @property
    def remark(self) -> str:
        """Where the optimum lies, and how to bracket it."""
        if self.optimum is None:
            return str(self.reason)
        rate = f"{self.optimum.learning_rate:.3g}"
        if self.optimum.bound is None:
            return f"optimum at {rate}"
        edge, side, add = AT_AN_EDGE[self.optimum.kind]
        return (
            f"the best learning rate is the {edge} tried, {rate}, so the optimum is {side} the next one, "
            f"{self.optimum.bound:.3g}; add {add} ones"
        )

    def to_dict(self) -> dict[str, Any] | None:
        """Return the optimum and its trial counts as JSON-ready values; None without an optimum."""
        surface, optimum = self.surface, self.optimum
        if optimum is None:
            return None
        return {
            "width": surface.width,
            "learning_rate": optimum.learning_rate,
            "interval": None if optimum.interval is None else list(optimum.interval),
            "standard_error_log2": optimum.standard_error,
            "kind": optimum.kind,
            "bound": optimum.bound,
            "next_to_divergence": optimum.next_to_divergence,
            "loss": optimum.loss,
            "completed": surface.completed_count,
            "diverged": surface.diverged_count,
            "stopped": surface.stopped_count,
        }


def fit_optima(trials: Sequence[Trial]) -> tuple[WidthOptimum, ...]:
    """Return the optimum of every width that has trials, ascending; also for a running calibration."""
    return fit_sweeps(surfaces_by_width(trials).values())


def fit_sweeps(surfaces: Iterable[Surface]) -> tuple[WidthOptimum, ...]:
    """Return the optimum of each of several sweeps with curves of one shape, in their order.

    If at least two of them show it, the skew that their curves share is corrected (`skew`).
    """
    optima = []
    for surface in surfaces:
        try:
            optimum = fit_optimum(surface.learning_rates, surface.losses, surface.diverged, surface.stopped)
        except EstimateError as error:
            optima.append(WidthOptimum(surface, None, str(error)))
        else:
            optima.append(WidthOptimum(surface, optimum))
    found = [(k, entry.surface, entry.optimum) for k, entry in enumerate(optima) if entry.optimum is not None]
    swept = [surface for _, surface, _ in found]
    moved = shared_errors(swept, corrected(swept, [optimum for _, _, optimum in found]))
    for (k, _, _), optimum in zip(found, moved, strict=True):
        optima[k] = replace(optima[k], optimum=optimum)
    return tuple(optima)
