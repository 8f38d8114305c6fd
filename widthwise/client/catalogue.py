"""What the service answers besides calibrations and sweeps: advice, exports, theory, workers, its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from widthwise import notebook
from widthwise.client.answer import Answer


@dataclass(frozen=True, eq=False)
class Health(Answer):
    """The service answers requests; ServiceFailureError (503) otherwise."""

    status: str
    version: str
    broker: str | None = None  #: ok or unreachable; None if none is set


@dataclass(frozen=True, eq=False)
class AdvisedOption(Answer):
    """A choice of parameterization, optimizer and alignment, with what it rests on."""

    rank: int
    parameterization: str
    optimizer: str
    alignment: str | None  #: None: one learning rate for all tensors
    learning_rates: str
    epsilon: str
    loss: float | None  #: the published loss that it is ranked by
    in_use: bool
    basis: str
    rests_on: tuple[Mapping[str, Any], ...]
    calibrations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False)
class AdvisedRule(Answer):
    """The rule to choose about one kind of change."""

    about: str
    rule: str
    why: str
    formula: str
    rests_on: str
    holds: str
    others: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Advice(Answer):
    """What to choose for a scale-up."""

    options: tuple[AdvisedOption, ...]
    explanation: str  #: how they are ordered
    compared_at_parameters: float
    rules: tuple[AdvisedRule, ...]
    proxy: Mapping[str, Any]
    calibration: Mapping[str, Any]  #: `specification` is a body for `submit_calibration`
    thin: tuple[str, ...]  #: what the evidence does not cover

    def _repr_html_(self) -> str:
        options = [
            (one.rank, one.parameterization, one.optimizer, one.alignment or "one rate", notebook.number(one.loss))
            for one in self.options
        ]
        head = ("rank", "parameterization", "optimizer", "alignment", "published loss")
        rules = [(one.about, one.rule, one.why) for one in self.rules]
        return notebook.table("Advice", head, options, words=4) + notebook.table(
            "Rules", ("about", "rule", "why"), rules, words=3
        )


@dataclass(frozen=True, eq=False)
class ExportForm(Answer):
    """A form in which a plan can be exported."""

    name: str  #: what `export_plan` takes
    trainer: str
    versions: str  #: of the trainer; empty for none
    file_name: str
    media_type: str
    carries: Mapping[str, str]
    optimizers: tuple[str, ...]
    use: str


@dataclass(frozen=True)
class ExportedPlan:
    """The file that a trainer reads."""

    file_name: str
    media_type: str
    text: str
    plan_digest: str
    not_expressed: tuple[str, ...]  #: quantities that the plan changes and the file does not have


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as the service drew it; a notebook shows SVG and PNG."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The figure as text, if it is SVG or CSV."""
        return self.content.decode("utf-8", "replace")

    def save(self, path: str | Path) -> None:
        """Write the figure into a file, whatever its name ends in."""
        Path(path).write_bytes(self.content)

    def _repr_html_(self) -> str:
        if self.media_type.startswith("image/"):
            return notebook.picture(self.content, self.media_type)
        return notebook.paragraph(f"A figure as {self.media_type}, {len(self.content)} bytes: save(path) writes it")


@dataclass(frozen=True, eq=False)
class TheorySetting(Answer):
    """The theoretical exponents of one setting, by role."""

    parameterization: str
    optimizer: str
    alignment: str
    form: str
    readout_omega: float
    exponents: Mapping[str, Mapping[str, float]]  #: by role: a, b, c and g


@dataclass(frozen=True, eq=False)
class FleetWorker(Answer):
    """A worker that runs calibrations."""

    id: str
    state: str  #: running, idle, stale or stopped
    host: str
    device: str | None
    versions: Mapping[str, Any]
    last_seen: datetime
    seconds_since_seen: float
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    shard_id: str | None = None
    calibration_id: str | None = None
    totals: Mapping[str, Any] | None = None
