"""What the models' own code multiplies by, as a transfer takes it: powers of fans, and constants of attention."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.reading.model import ModelReading, Place
from widthwise.reading.pairing import PairedParameter
from widthwise.reading.parameter import Parameter
from widthwise.tensors.multipliers import ComputedMultiplier, Fan
from widthwise.vocabulary import Role

#: Powers of a width that code multiplies by: √d on embeddings, 1/√fan_in on equalized weights, 1/n on logits.
_POWERS = (-1.0, -0.5, 0.5, 1.0)
_TOLERANCE = 0.02  # chosen: a multiplier may have passed through bfloat16, which rounds by up to 0.4 %
_SAME = 1e-5  # relative; readings keep six digits
#: Whose output a multiplier of each place scales; the other places name the weight itself.
_ROLE_OF = {Place.EMBEDDING: Role.EMBEDDING, Place.LOGITS: Role.READOUT}


class Computed(NamedTuple):
    """What the code multiplies by with its own sizes, and what no power of a fan explains."""

    multipliers: tuple[ComputedMultiplier, ...]
    cautions: tuple[Caution, ...]


def computed(base: ModelReading, target: ModelReading, pairs: Sequence[PairedParameter]) -> Computed:
    """Return the multipliers of the code that change from base to target.

    One that stays at the base's value moves nothing and is left out. Raises InvalidInputError for one whose number a
    reading does not know.
    """
    at_base, at_target = _by_use(base), _by_use(target)
    _check_attention(base, target)
    deeper = base.blocks != target.blocks
    found: dict[tuple[float, Fan], list[str]] = {}
    unexplained: dict[tuple[Place, float, float], list[str]] = {}
    for each in pairs:
        for place in Place:
            before, after = _value(at_base, place, each.base), _value(at_target, place, each.target)
            if before is None or after is None:
                if each.base.shape == each.target.shape and before is after:
                    continue
                raise InvalidInputError(_unknown(f"{each.target.name} ({place.value})"), field="code_multipliers")
            if math.isclose(before, after, rel_tol=_SAME):
                continue
            by_depth = place is Place.BRANCH and deeper
            power = None if by_depth or before == 0 else _power(after / before, place, each)
            if power is None:
                unexplained.setdefault((place, before, after), []).append(each.target.name)
            else:
                found.setdefault(power, []).append(each.target.name)
    return Computed(
        tuple(ComputedMultiplier(power=power, of=fan, tensors=tuple(names)) for (power, fan), names in found.items()),
        tuple(_cautions(unexplained)),
    )


def _check_attention(base: ModelReading, target: ModelReading) -> None:
    """Refuse a scale of attention whose number is not known, if it has to change with the head dim."""
    if {each.head_dim for each in base.attentions} == {each.head_dim for each in target.attentions}:
        return
    for each in (*base.attentions, *target.attentions):
        if each.scale is None and not each.normalized:
            raise InvalidInputError(_unknown(f"query·key in {each.where}"), field="model")


_Values = Mapping[tuple[Place, str], float | None]


def _by_use(reading: ModelReading) -> _Values:
    """What the code multiplies each named parameter by, all its multipliers of one place together."""
    found: dict[tuple[Place, str], float | None] = {}
    for each in reading.multipliers:
        for name in each.parameters:
            known = found.get((each.place, name), 1.0)
            found[each.place, name] = None if known is None or each.value is None else known * each.value
    return found


def _value(values: _Values, place: Place, parameter: Parameter) -> float | None:
    """What one use of a parameter is multiplied by: tied weights are one name with two uses, which their roles tell."""
    expected = _ROLE_OF.get(place)
    if expected is not None and parameter.role is not expected:
        return 1.0
    if (place, parameter.name) in values or parameter.tied_to is None or expected is None:
        return values.get((place, parameter.name), 1.0)
    return values.get((place, parameter.tied_to), 1.0)


def _power(growth: float, place: Place, pair: PairedParameter) -> tuple[float, Fan] | None:
    """The power of a fan that the multiplier grew by; None if it is none."""
    if growth <= 0:
        return None
    fans = {Fan.IN: (pair.base.fan_in, pair.target.fan_in), Fan.OUT: (pair.base.fan_out, pair.target.fan_out)}
    order = (Fan.OUT, Fan.IN) if place is Place.EMBEDDING else (Fan.IN, Fan.OUT)
    for fan in order:
        before, after = fans[fan]
        if before == after:
            continue
        power = math.log(growth) / math.log(after / before)
        nearest = min(_POWERS, key=lambda known: abs(known - power))
        if abs(nearest - power) <= _TOLERANCE:
            return nearest, fan
    return None


def _unknown(what: str) -> str:
    return (
        f"the code multiplies {what} by a number that the model does not hold, as tensors on the meta device hold "
        "none; build the model on the CPU, or without memory under "
        "torch._subclasses.fake_tensor.FakeTensorMode(), or name what the code multiplies by in code_multipliers"
    )


def _cautions(unexplained: Mapping[tuple[Place, float, float], Sequence[str]]) -> Iterator[Caution]:
    for (place, before, after), names in unexplained.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Caution(
            "code_multiplier_changed",
            f"the code multiplies {names[0]}{more} ({place.value}) by {before:g} in the base and by {after:g} in the "
            "target, which isn't a power of its fans: the plan doesn't account for that; keep the base's number unless "
            "you mean the change",
        )
