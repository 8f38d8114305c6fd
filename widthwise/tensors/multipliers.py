"""Multipliers that the model's own code computes: which tensors they scale, and as which power of a fan."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.tensors.placement import Placement, Tensor
from widthwise.vocabulary import Role, known_word

MAX_POWER = 2  # chosen: no code's multiplier comes near, and products stay finite
FIELD = "code_multipliers"


class Fan(StrEnum):
    """Which size of a tensor a multiplier is a power of."""

    IN = "fan_in"
    OUT = "fan_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedMultiplier:
    """The code multiplies what some tensors give out by `of`^`power`, with the model's own size at every width.

    √d on embeddings is power ½ of fan_out, 1/√fan_in (equalized learning rate) −½ of fan_in, 1/n on logits −1 of
    fan_in. A multiplier that stays at the base's value is `frozen`.
    """

    power: float
    of: Fan | str
    tensors: Sequence[str] = ()  #: by name; or
    role: Role | str | None = None  #: all tensors of a role, and the role's own line of the plan
    backward: bool = True  #: False: only the forward pass is multiplied, and not the gradient
    frozen: bool = False

    def __post_init__(self) -> None:
        if bool(self.tensors) == (self.role is not None):
            raise InvalidInputError(f"{FIELD}: give either tensors or role to say what is multiplied", field=FIELD)
        if self.role is not None:
            object.__setattr__(self, "role", known_word(Role, self.role, f"{FIELD}.role"))
        object.__setattr__(self, "of", known_word(Fan, self.of, f"{FIELD}.of"))
        power = self.power
        is_number = isinstance(power, int | float) and not isinstance(power, bool)
        if not is_number or not math.isfinite(power) or abs(power) > MAX_POWER:
            raise InvalidInputError(
                f"{FIELD}.power is {power!r}; give a number within ±{MAX_POWER}", field=f"{FIELD}.power"
            )


class CodePower(NamedTuple):
    """All that the code multiplies one tensor's output by: fan_in^fan_in · fan_out^fan_out."""

    fan_in: float
    fan_out: float
    backward: bool = True

    @property
    def total(self) -> float:
        """The power of the width, if both fans grow by one ratio."""
        return self.fan_in + self.fan_out

    def turned(self) -> "CodePower":
        """The same, of the transposed weights."""
        return CodePower(self.fan_out, self.fan_in, self.backward)


def of_role(multipliers: Sequence[ComputedMultiplier], role: Role) -> CodePower | None:
    """What the code multiplies every tensor of a role by."""
    return _together([each for each in multipliers if each.role is role and not each.frozen])


def of_tensors(
    multipliers: Sequence[ComputedMultiplier], tensors: Sequence[Tensor], placements: Sequence[Placement]
) -> dict[str, CodePower]:
    """What the code multiplies each tensor by; tensors that it leaves alone are absent.

    Raises InvalidInputError for a name or a role that no tensor has.
    """
    if not multipliers or not tensors:
        return {}
    names = {tensor.name for tensor in tensors}
    roles = {placement.role for placement in placements}
    for each in multipliers:
        for name in each.tensors:
            if name not in names:
                raise InvalidInputError(f"{FIELD}.tensors names {name!r}, which is not among the tensors", field=FIELD)
        if each.role is not None and each.role not in roles:
            raise InvalidInputError(f"{FIELD}.role is {each.role!s}, which no tensor has; correct it", field=FIELD)
    found = {}
    computed = [(each, frozenset(each.tensors)) for each in multipliers if not each.frozen]
    for tensor, placement in zip(tensors, placements, strict=True):
        power = _together([each for each, named in computed if each.role is placement.role or tensor.name in named])
        if power is not None:
            found[tensor.name] = power
    return found


def _together(multipliers: Sequence[ComputedMultiplier]) -> CodePower | None:
    if not multipliers:
        return None
    powers = {fan: sum((float(each.power) for each in multipliers if each.of is fan), 0.0) for fan in Fan}
    if max(map(abs, powers.values())) > MAX_POWER:
        raise InvalidInputError(
            f"{FIELD}: together they are a power beyond ±{MAX_POWER} of one fan; name each multiplier once", field=FIELD
        )
    return CodePower(powers[Fan.IN], powers[Fan.OUT], all(each.backward for each in multipliers))
