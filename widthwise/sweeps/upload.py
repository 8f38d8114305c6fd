"""A sweep's runs as the service takes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from widthwise.sweeps.planned import Axes
from widthwise.sweeps.run import NUMBER_AXES, SweepRun


class SweepService(Protocol):
    """What an upload asks of `widthwise.client.Client`."""

    def create_sweep(
        self, name: str, rows: Sequence[Mapping[str, Any]] = (), *, idempotency_key: str | None = None, **settings: Any
    ) -> Mapping[str, Any]:
        """Make a sweep and return it with its "id"; the same one if the key was used before."""
        ...

    def add_runs(self, sweep_id: str, rows: Sequence[Mapping[str, Any]]) -> object:
        """Add the runs that the sweep lacks."""
        ...


def settings_of(place: Axes, prescribed: Sequence[str]) -> dict[str, Any]:
    """Return how the service is to read the rows: which columns are axes, and which of them hold words."""
    words = [name for name, value in place.items() if isinstance(value, str)]
    others = {name: name for name in place if name not in NUMBER_AXES and name not in words}
    left_out = [name for name in NUMBER_AXES if name not in place]
    return {"columns": others, "groups": words, "without": left_out, "prescribed": list(prescribed)}


def row_of(run: SweepRun) -> dict[str, Any]:
    """Return a run as a row that `runs_from_rows` reads."""
    return {"learning_rate": run.learning_rate, "loss": run.loss, "seed": run.seed, **run.axes}
