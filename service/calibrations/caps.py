"""Caps on one specification: its trials, operations and memory, checked before anything is planned or stored."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import OverCapError
from service.settings import Settings
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.demand import demand_of
from widthwise.vocabulary import Runner


@dataclass(frozen=True, slots=True)
class Excess:
    """What a specification asks for beyond a cap."""

    what: str  #: with its unit
    asked: float
    limit: float
    remedy: str

    def __str__(self) -> str:
        return f"{self.asked:,.6g} {self.what} are asked for, and at most {self.limit:,.6g} are allowed"


def check_caps(spec: CalibrationSpec, settings: Settings) -> None:
    """Raise OverCapError (422) if a specification asks for more than the settings allow.

    It takes well below a millisecond for any specification, unlike its outline.
    """
    found = tuple(_excesses(spec, settings))
    if not found:
        return
    listed = [
        {"pointer": "#", "message": f"{each}: {each.remedy}", "asked": each.asked, "limit": each.limit}
        for each in found
    ]
    raise OverCapError(f"{'; '.join(map(str, found))}: {found[0].remedy}.", errors=listed)


def _excesses(spec: CalibrationSpec, settings: Settings) -> Iterator[Excess]:
    demand = demand_of(spec)
    ours = spec.runner is not Runner.EXTERNAL  # what others train with is theirs
    for what, asked, limit, remedy in (
        ("trials", demand.trials, settings.max_trials, "leave out widths, learning rates or seeds"),
        ("floating-point operations", ours * demand.flops, settings.max_flops, "leave out widths or steps"),
        (
            "bytes of memory for one training run",
            ours * demand.training_bytes,
            settings.max_training_bytes,
            "leave out the largest widths, or take a smaller batch_size, depth or sequence_length",
        ),
    ):
        if 0 < limit < asked:
            yield Excess(what, asked, limit, remedy)
