"""The rules of a transfer, in the order in which their reasons and cautions are given."""

from widthwise.rules.code import CodeMultipliers
from widthwise.rules.contract import Rule
from widthwise.rules.shift import FiniteWidthShift
from widthwise.rules.width import Width

RULES: tuple[Rule, ...] = (
    Width(),
    FiniteWidthShift(),
    CodeMultipliers(),
)
