"""The learning rate of one matrix in another optimizer or with another scale of Muon's update.

Muon's update is an orthogonal matrix O of out × in, whose entries have RMS 1/√max(out, in), times a scale:

    unit √(out/in),   Keller √max(1, out/in),   RMS c·√max(out, in), after which the entries have RMS c.

The same update needs η·scale to be the same: exact. Between Muon and AdamW no identity exists; equal RMS of the update
is the heuristic in use. AdamW's is about c = 0.2 in the training of language models (Moonlight, 2502.16982), and
√((1 − β₁)/(1 + β₁)) for gradients that are pure noise: 0.229 at β₁ 0.9, 0.160 at 0.95.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from widthwise.conversion.converted import Converted
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Optimizer, known_word

MUON_RMS_SCALE = 0.2  # Moonlight, 2502.16982, and torch.optim.Muon's match_rms_adamw
_LARGEST = 1.0  # of c: no optimizer's update of unit scale has a larger RMS

#: What Muon multiplies an orthogonal update of out × in by; c alone is a choice.
_SCALES: Mapping[str, Callable[[int, int, float], float]] = MappingProxyType(
    {
        "muon_unit": lambda out, into, _: math.sqrt(out / into),
        "muon_keller": lambda out, into, _: math.sqrt(max(1.0, out / into)),
        "muon_rms": lambda out, into, c: c * math.sqrt(max(out, into)),
    }
)
_ADAM = "adamw"
CONVERTED = (_ADAM, *_SCALES)  #: the optimizers between which learning rates are converted


def convert_rate(
    learning_rate: float,
    *,
    source: Optimizer | str,
    target: Optimizer | str,
    fan_out: int,
    fan_in: int,
    c: float = MUON_RMS_SCALE,
) -> Converted:
    """Return the learning rate of `target` whose update of a matrix is as large as `source`'s.

    source, target: adamw, muon_unit, muon_keller or muon_rms. fan_out, fan_in: of the matrix, each at least 1.
    c: the scale of muon_rms, and the RMS that AdamW's update is taken to have, in (0, 1].

    Raises InvalidInputError for another optimizer and numbers out of range.

    >>> convert_rate(0.02, source="muon_keller", target="muon_unit", fan_out=1024, fan_in=4096).value
    0.04
    """
    _check(learning_rate, "learning_rate", above=0.0, most=math.inf)
    _check(c, "c", above=0.0, most=_LARGEST)
    for name, fan in (("fan_out", fan_out), ("fan_in", fan_in)):
        if type(fan) is not int or fan < 1:
            raise InvalidInputError(f"{name} is {fan!r}; give an integer of at least 1", field=name)
    one, other = _word(source, "source"), _word(target, "target")
    if one == other:
        return Converted(float(learning_rate), exact=True, reason="the same optimizer")
    value = learning_rate * _scale(one, fan_out, fan_in, c) / _scale(other, fan_out, fan_in, c)
    if _ADAM in (one, other):
        return Converted(
            value,
            exact=False,
            reason=f"equal RMS of the update, AdamW's taken as {c:g} × η (Moonlight, 2502.16982); at another width the "
            "two learning rates scale differently, so transfer after converting",
        )
    return Converted(value, exact=True, reason="η × scale is the same, and so is every update of this matrix")


def _scale(word: str, fan_out: int, fan_in: int, c: float) -> float:
    """What stands before an orthogonal matrix in the update, per unit of learning rate."""
    return _SCALES["muon_rms" if word == _ADAM else word](fan_out, fan_in, c)


def _word(optimizer: Optimizer | str, field: str) -> str:
    word = known_word(Optimizer, optimizer, field).value
    if word not in CONVERTED:
        raise InvalidInputError(
            f"{field} is {word!r}; learning rates are converted between {', '.join(CONVERTED)}", field=field
        )
    return word


def _check(value: float, name: str, *, above: float, most: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not above < value <= most or math.isinf(value):
        limit = "" if math.isinf(most) else f" and at most {most:g}"
        raise InvalidInputError(f"{name} is {value!r}; give a number above {above:g}{limit}", field=name)
