"""The result of a coordinate check: the engine's verdict, what was measured, and a table of both."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from widthwise import notebook
from widthwise.calibration.trial import Measurement
from widthwise.estimate.parts.alignments import AlignmentPart
from widthwise.estimate.parts.coordinates import CoordinateCheck, Judgement
from widthwise.torch.text_table import text_table

_HEAD = ("", "layer", "role", "size", "slope over width", "theory")
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
        return "\n".join([self._title(), *text_table([_HEAD, *self._rows()]), *self.reasons, *self.check.notes])

    def _repr_html_(self) -> str:
        said = "".join(map(notebook.paragraph, (*self.reasons, *self.check.notes)))
        return notebook.table(self._title(), _HEAD, self._rows(), words=4) + said

    def _title(self) -> str:
        widths = ", ".join(map(str, self.check.widths))
        return f"coordinate check: {self.outcome} (widths {widths})"

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
