"""What was measured of a model, by parameter and by role, in the form that a transfer and a sweep take."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from widthwise import notebook
from widthwise.torch.checked import number
from widthwise.torch.text_table import text_table
from widthwise.vocabulary import Role

_LOWEST, _HIGHEST = 0.5, 1.0  # random and aligned: what lies outside is a constant factor of one width
_ALIGNED = (Role.HIDDEN, Role.READOUT)  # an embedding's input is an index, so there is no sum
_HEAD = ("tensor", "role", "gradient RMS", "α", "ω", "u")


@dataclass(frozen=True, slots=True)
class TensorMeasurement:
    """One parameter: the RMS of its gradient, and how its update and its initial values align with activations."""

    name: str
    role: Role
    fan_in: int
    gradient_rms: float
    alpha: float | None = None  #: log to the base fan-in, at this width; None: not measured, or nothing has moved
    omega: float | None = None
    u: float | None = None


@dataclass(frozen=True)
class ModelMeasurement:
    """Everything that `measure` found. `print` shows it; in a notebook it is a table."""

    tensors: tuple[TensorMeasurement, ...]  #: in the model's order; a tied weight stands twice

    @property
    def gradient_rms(self) -> dict[str, float]:
        """Return the smallest gradient RMS by role, with which epsilon is compared; a gradient of 0 doesn't count."""
        found: dict[str, float] = {}
        for tensor in self.tensors:
            if tensor.gradient_rms > 0:
                found[tensor.role.value] = min(tensor.gradient_rms, found.get(tensor.role.value, tensor.gradient_rms))
        return found

    @property
    def alignment(self) -> dict[str, dict[str, float]] | None:
        """Return α, ω and u of hidden layers and readout, each the mean of the tensors, within ½ and 1.

        None if one was not measured: without `initial`, without a readout, or if nothing has moved.
        """
        found: dict[str, dict[str, float]] = {}
        for role in _ALIGNED:
            for ratio in ("alpha", "omega", "u"):
                values = [getattr(each, ratio) for each in self.tensors if each.role is role]
                known = [value for value in values if value is not None]
                if not known:
                    return None
                found.setdefault(role.value, {})[ratio] = min(_HIGHEST, max(_LOWEST, sum(known) / len(known)))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of a transfer request that were measured: `base.gradient_rms`, and `alignment` if known."""
        alignment = self.alignment
        return {
            "base": {"gradient_rms": self.gradient_rms},
            **({} if alignment is None else {"alignment": alignment}),
        }

    def __str__(self) -> str:
        return "\n".join(text_table([_HEAD, *self._rows()]))

    def _repr_html_(self) -> str:
        return notebook.table("Gradients and alignment", _HEAD, self._rows(), words=2)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for each in self.tensors:
            numbers = (each.gradient_rms, each.alpha, each.omega, each.u)
            yield each.name, each.role.value, *map(number, numbers)
