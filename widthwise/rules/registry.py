"""The rules of a transfer, in the order of their reasons and cautions."""

from widthwise.rules.code import CodeMultipliers
from widthwise.rules.contract import Rule
from widthwise.rules.preconditioner_blocks import PreconditionerBlocks
from widthwise.rules.shift import FiniteWidthShift
from widthwise.rules.width import Width

RULES: tuple[Rule, ...] = (
    Width(),
    FiniteWidthShift(),
    CodeMultipliers(),
    PreconditionerBlocks(),
)
