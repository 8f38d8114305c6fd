"""The transfer plan: every hyperparameter of the target, with its multiplier, its exponent and its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from widthwise.vocabulary import Role


class Quantity(NamedTuple):
    """One hyperparameter of one role or tensor."""

    value: float | None  #: for the target; None where the base gave no value
    multiplier: float  #: target / base, exactly 1.0 when nothing that matters changes
    exponent: float  #: ∝ width^(−exponent), when fan-in and fan-out grow by one ratio


class LayerPlan(NamedTuple):
    """The quantities of one role, for the width ratio of the whole model."""

    role: Role
    learning_rate: Quantity
    epsilon: Quantity | None  #: None where the optimizer has no epsilon
    init_std: Quantity
    forward_multiplier: Quantity
    weight_decay: Quantity
    gradient_rms: Quantity
    reason: str


class TensorPlan(NamedTuple):
    """The quantities of one tensor, for the ratios of its own fans."""

    name: str
    role: Role
    fan_in: int  #: of the target
    fan_out: int
    tied_to: str | None
    learning_rate: Quantity
    epsilon: Quantity | None
    init_std: Quantity
    forward_multiplier: Quantity
    weight_decay: Quantity
    gradient_rms: Quantity
    reason: str


class Caution(NamedTuple):
    """A warning about a plan: a stable code for programs, a sentence for people."""

    code: str
    message: str


QUANTITIES = ("learning_rate", "epsilon", "init_std", "forward_multiplier", "weight_decay", "gradient_rms")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the target model needs, and where each number comes from."""

    layers: tuple[LayerPlan, ...]  #: by role; empty if base and target name no width
    tensors: tuple[TensorPlan, ...]  #: in the order given
    warnings: tuple[Caution, ...]
    provenance: Mapping[str, Any]

    def layer(self, role: Role | str) -> LayerPlan:
        """The plan of one role; KeyError if base and target name no width."""
        return {layer.role: layer for layer in self.layers}[Role(role)]

    def tensor(self, name: str) -> TensorPlan:
        """The plan of one tensor; KeyError for a name that was not given."""
        return {tensor.name: tensor for tensor in self.tensors}[name]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready dictionaries, in the shape of POST /v1/transfers."""
        # One dictionary per distinct set of quantities: a large model repeats few shapes many times.
        seen: dict[int, dict[str, Any]] = {}

        def quantities(of: LayerPlan | TensorPlan) -> dict[str, Any]:
            found = seen.get(id(of.learning_rate))
            if found is None:
                # Written out: a loop over the names takes nearly twice as long, and every answer passes here.
                rate, epsilon, std, forward, decay, gradient, reason = of[-7:]
                found = seen[id(of.learning_rate)] = {
                    "learning_rate": {"value": rate[0], "multiplier": rate[1], "exponent": rate[2]},
                    "epsilon": None
                    if epsilon is None
                    else {"value": epsilon[0], "multiplier": epsilon[1], "exponent": epsilon[2]},
                    "init_std": {"value": std[0], "multiplier": std[1], "exponent": std[2]},
                    "forward_multiplier": {"value": forward[0], "multiplier": forward[1], "exponent": forward[2]},
                    "weight_decay": {"value": decay[0], "multiplier": decay[1], "exponent": decay[2]},
                    "gradient_rms": {"value": gradient[0], "multiplier": gradient[1], "exponent": gradient[2]},
                    "reason": reason,
                }
            return found

        return {
            "layers": [{"role": layer.role.value, **quantities(layer)} for layer in self.layers],
            "tensors": [
                {
                    "name": tensor.name,
                    "role": tensor.role.value,
                    "fan_in": tensor.fan_in,
                    "fan_out": tensor.fan_out,
                    "tied_to": tensor.tied_to,
                    **quantities(tensor),
                }
                for tensor in self.tensors
            ],
            "warnings": [caution._asdict() for caution in self.warnings],
            "provenance": dict(self.provenance),
        }
