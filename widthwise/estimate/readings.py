"""The measurement records of one kind in a calibration: the scalars of every tensor, run and step."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.estimate.slopes import Slope, fit_slope
from widthwise.vocabulary import Measured

Tensors = Mapping[str, Mapping[str, Any]]  #: by name: the role, the fan-in and the scalars of one snapshot


@dataclass(frozen=True)
class Readings:
    """All snapshots of one kind."""

    kind: str
    snapshots: Mapping[int, Mapping[tuple[int, int], Tensors]]  #: step → (width, seed) → tensors; steps ascend
    diverged: tuple[tuple[int, int, int], ...]  #: (width, seed, step) of runs with numbers that became infinite or NaN

    @property
    def widths(self) -> tuple[int, ...]:
        """Return every width with a snapshot, ascending."""
        return tuple(sorted({width for runs in self.snapshots.values() for width, _ in runs}))

    def names(self, step: int, role: str | None = None) -> tuple[str, ...]:
        """Return tensors that every run recorded at a step, of one role or all roles, in the model's order."""
        runs = list(self.snapshots[step].values())
        return tuple(
            name
            for name, tensor in runs[0].items()
            if role in (None, tensor["role"]) and all(name in tensors for tensors in runs)
        )

    def roles(self) -> tuple[str, ...]:
        """Return every role with a tensor, in the model's order."""
        return tuple(
            dict.fromkeys(
                tensor["role"]
                for runs in self.snapshots.values()
                for tensors in runs.values()
                for tensor in tensors.values()
            )
        )

    def slope(
        self, steps: Sequence[int], names: Iterable[str], log_size: Callable[[Mapping[str, Any]], float | None]
    ) -> Slope | None:
        """Fit the slope over width of the mean `log_size` of some tensors over some steps; None if that is impossible.

        Only runs that reached all the steps are used. A tensor without a size in some run (an exact 0 has no
        logarithm) is left out of the mean in every run.
        """
        runs = [run for run in self.snapshots[steps[0]] if all(run in self.snapshots[step] for step in steps)]
        columns = []
        for name in names:
            for step in steps:
                column = [log_size(self.snapshots[step][run][name]) for run in runs]
                if all(value is not None for value in column):
                    columns.append([float(value) for value in column if value is not None])
        if not columns:
            return None
        means = [sum(values) / len(values) for values in zip(*columns, strict=True)]
        return fit_slope([(width, seed, mean) for (width, seed), mean in zip(runs, means, strict=True)])

    def cautions(self) -> list[Caution]:
        """Warn about runs that diverged and about too few widths."""
        found = []
        if self.diverged:
            listed = ", ".join(f"width {width}, seed {seed} by step {step}" for width, seed, step in self.diverged)
            found.append(
                Caution(
                    "measurement_diverged",
                    f"A run measured for {self.kind} diverged: {listed}. Its earlier steps are used; give a smaller "
                    "probe_learning_rate for the rest.",
                )
            )
        if len(self.widths) < 2:
            found.append(
                Caution(
                    "measurement_without_exponent",
                    f"{self.kind} was measured at {len(self.widths)} width(s), but an exponent needs two.",
                )
            )
        return found


def log_of(key: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Return the natural log of a tensor's scalar; None if it is 0 or absent."""

    def log_size(tensor: Mapping[str, Any]) -> float | None:
        value = tensor.get(key)
        return math.log(value) if value is not None and value > 0 else None

    return log_size


def read(spec: CalibrationSpec, measurements: Sequence[Measurement], kind: Measured) -> Readings | None:
    """Return the readings of `kind`; None if the specification does not ask for it. Raises as `readings_of` does."""
    return readings_of(measurements, kind) if kind in spec.measure else None


def readings_of(measurements: Sequence[Measurement], kind: Measured) -> Readings:
    """Return the readings of `kind`, whatever measured them.

    Raises InvalidInputError for a record that does not have the form of a measurement.
    """
    by_step: dict[int, dict[tuple[int, int], Tensors]] = {}
    diverged = []
    try:
        for record in measurements:
            if record.kind is not kind:
                continue
            run, data = (record.width, record.seed), record.data
            if data.get("diverged_at") is not None:
                diverged.append((*run, int(data["diverged_at"])))
            for snapshot in data["snapshots"]:
                by_step.setdefault(int(snapshot["step"]), {})[run] = snapshot["tensors"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"a measurement of {kind} can't be read ({error!r}); its data needs snapshots with a step and tensors",
            field="measurements",
        ) from error
    ordered = {step: dict(sorted(by_step[step].items())) for step in sorted(by_step)}
    return Readings(kind, ordered, tuple(sorted(diverged)))
