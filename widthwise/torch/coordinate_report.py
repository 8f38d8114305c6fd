"""The result of a coordinate check: the engine's verdict, what was measured, and a table of both."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from widthwise.calibration.trial import Measurement
from widthwise.estimate.parts.alignments import AlignmentPart
from widthwise.estimate.parts.coordinates import CoordinateCheck, Judgement

_MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


@dataclass(frozen=True)
class CoordinateReport:
    """Whether activations scale as theory says. `print` shows it; in a notebook it is a table."""

    check: CoordinateCheck
    aligned: AlignmentPart  #: α, ω and u by their slopes over width, and the learning-rate exponents that they allow
    measurements: tuple[Measurement, ...]  #: by width and seed, in the form of a calibration's

    @property
    def outcome(self) -> str:
        """Return "pass", "fail" or "inconclusive"."""
        return self.check.outcome

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return what the outcome rests on, in words."""
        return self.check.reasons

    @property
    def alignment(self) -> dict[str, dict[str, float]] | None:
        """Return α, ω and u of hidden layers and readout as a transfer takes them; None if one is unknown."""
        return self.aligned.used

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, all finite: the check as a calibration's result has it, and what was measured."""
        return {
            **self.check.to_dict(),
            "alignment": self.aligned.to_dict(),
            "measurements": [each.to_dict() for each in self.measurements],
        }

    def __str__(self) -> str:
        rows = [self._head(), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self._title(), *lines, *self.reasons, *self.check.notes])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self._head())
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        said = "".join(f"<p>{escape(line)}</p>" for line in (*self.reasons, *self.check.notes))
        return f"<p><b>{escape(self._title())}</b></p><table><tr>{head}</tr>{rows}</table>{said}"

    def _title(self) -> str:
        widths = ", ".join(map(str, self.check.widths))
        return f"coordinate check: {self.outcome} (widths {widths})"

    @staticmethod
    def _head() -> tuple[str, ...]:
        return ("", "layer", "role", "size", "slope over width", "theory")

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for found in self.check.judgements:
            yield _MARKS[found.outcome], found.layer, found.role, _size(found), _slope(found), f"{found.expected:+.2g}"


def _size(found: Judgement) -> str:
    if found.size == "output":
        return "output at init"
    return "change of the output" if found.step is None else f"change of the output, step {found.step}"


def _slope(found: Judgement) -> str:
    interval = found.slope.interval
    return f"{found.slope.value:+.2f}" + ("" if interval is None else f"  [{interval[0]:+.2f}, {interval[1]:+.2f}]")
