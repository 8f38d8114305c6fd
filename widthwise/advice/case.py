"""A user's case: what is tuned, what is to be trained, and what may change."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.model import Size, Target
from widthwise.vocabulary import Optimizer, Parameterization, known_word

_SIZES = tuple(each.name for each in fields(Size))


class MayChange(StrEnum):
    """What of the setting is open."""

    PARAMETERIZATION = "parameterization"
    OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceCase:
    """What a ranking is for. Sizes that are left out are not advised on."""

    optimizer: Optimizer
    target: Target
    base: Target = Target()  # noqa: RUF009 - frozen; sizes alone, since nothing may be tuned yet
    parameterization: Parameterization | None = None  #: in use; None: none yet
    may_change: tuple[MayChange, ...] = (MayChange.PARAMETERIZATION,)

    def __post_init__(self) -> None:
        if self.parameterization is None and MayChange.PARAMETERIZATION not in self.may_change:
            raise InvalidInputError(
                "parameterization is missing and may not change; name it, or add it to may_change",
                field="parameterization",
            )

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "AdviceCase":
        """Read the JSON form. Raises InvalidInputError that names the field."""
        known = ("optimizer", "parameterization", "base", "target", "may_change")
        for name in value:
            if name not in known:
                raise InvalidInputError(f"the case has no field {name!r}; there are {', '.join(known)}", field=name)
        if value.get("optimizer") is None:
            raise InvalidInputError("optimizer is missing; name the one in use", field="optimizer")
        words = value.get("may_change")
        if words is not None and not isinstance(words, list | tuple):
            raise InvalidInputError(f"may_change is {words!r}; give a list of words", field="may_change")
        kind = value.get("parameterization")
        return cls(
            optimizer=known_word(Optimizer, value["optimizer"], "optimizer"),
            parameterization=None if kind is None else known_word(Parameterization, kind, "parameterization"),
            base=_sizes(value.get("base"), "base"),
            target=_sizes(value.get("target"), "target"),
            may_change=(MayChange.PARAMETERIZATION,)
            if words is None
            else tuple(known_word(MayChange, word, "may_change") for word in words),
        )


def _sizes(value: Any, field: str) -> Target:
    if value is None:
        return Target()
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{field} is {value!r}; give an object", field=field)
    for name in value:
        if name not in _SIZES:
            raise InvalidInputError(f"{field} has no size {name!r}; there are {', '.join(_SIZES)}", field=field)
    return Target(**value)
