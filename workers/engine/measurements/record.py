"""One measurement of one run, and the steps at which each kind looks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from widthwise.calibration.cost import COOLDOWN_SHARE

#: of the steps before the cooldown's end (chosen): init, the end of the warm-up, early, late, the start of the cooldown
GRADIENT_SHARES = (0.0, 0.05, 0.25, 0.5, 1.0 - COOLDOWN_SHARE)


@dataclass(frozen=True)
class Measurement:
    """What one run of one width and seed showed of one kind."""

    width: int
    seed: int
    kind: str  #: one of vocabulary.MEASURED_BY_RUNS
    #: all finite: "learning_rate", "steps", "diverged_at" (null or a step) and "snapshots", each with its "step" and
    #: its "tensors" by name: "role", "fan_in" and the scalars of the kind
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The measurement as a JSON-ready record."""
        return asdict(self)


def snapshot_steps(kind: str, steps: int) -> tuple[int, ...]:
    """The steps of a run of `steps` at which `kind` looks, ascending; step s is the state after s updates.

    Gradients are seen at init, early, and until the cooldown starts; alignment at the same steps but init, where no
    weight has moved; coordinates at init and after 1, 2, 4, 8, … updates, as in Yang et al. 2022 (2203.03466, D.1).

    >>> snapshot_steps("epsilon", 200), snapshot_steps("alignment", 200)
    ((0, 10, 50, 100, 160), (10, 50, 100, 160))
    >>> snapshot_steps("coordinates", 20)
    (0, 1, 2, 4, 8, 16)
    """
    if kind == "coordinates":
        return _ascending([0, *(2**k for k in range(steps.bit_length()))])
    shares = [max(1, round(share * steps)) for share in GRADIENT_SHARES[1:]]
    return _ascending(shares) if kind == "alignment" else _ascending([0, *shares])


def _ascending(steps: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(steps)))
