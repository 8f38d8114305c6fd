"""What to choose for a scale-up, and what each choice rests on: published losses, rules, and calibrations of one's own.

Pure Python. `advise(case, measured)` ranks; `evidence` has the published losses.
"""

from widthwise.advice.case import AdviceCase
from widthwise.advice.ranking import advise

__all__ = ["AdviceCase", "advise"]
