"""A proxy to tune at, and a calibration that would settle what the evidence does not, with its cost."""

import math
from typing import Any

from widthwise.advice.case import AdviceCase
from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.model import MAX_COUNT
from widthwise.search.demand import demand_of
from widthwise.vocabulary import Parameterization

POWER_LAW_FROM = 513  # Everett et al. 2024: widths of at most 512 left the power law
MOST_GROWTH = 16  # as the warning `extrapolation`: the paper's fits span ×16
LEAST_HEAD, USUAL_HEAD = 64, 128  # muGPT: smaller heads failed to transfer; Everett et al. 2024 used 128
DEPTH = 8  # blocks of Everett et al. 2024
TOKENS_PER_PARAMETER = 20  # their compute-optimal horizon
LONGER = 4  # times (chosen): the second horizon, far enough that an exponent shows
WIDTHS = (64, 128, 256, 512)  # chosen: eightfold, at sizes that a processor trains


def proxy_for(case: AdviceCase) -> dict[str, Any]:
    """Return a base's sizes, each with its reason; null for what the target does not tell."""
    head = case.target.head_dim or USUAL_HEAD
    head = max(head, LEAST_HEAD)
    width = None if case.target.width is None else _width(case.target.width, head)
    depth = DEPTH if case.target.depth is None else min(DEPTH, case.target.depth)
    tokens = 0 if width is None else TOKENS_PER_PARAMETER * 12 * depth * width**2  # a block has about 12·n² weights
    is_told = 0 < LONGER * tokens <= MAX_COUNT  # more than a request can state helps nobody
    return {
        "width": _told(width, "above 512, where the optimum follows a power law, and within ×16 of the target"),
        "head_dim": _told(head, "the target's own, since the head size then needs no rule; not under 64 (muGPT)"),
        "depth": _told(depth, "at most the 8 blocks of the published losses; name a rule of depth if it changes"),
        "tokens": _told(
            [tokens, LONGER * tokens] if is_told else None,
            "20 tokens a parameter of a transformer (12·depth·width²), and four times that: two horizons measure the "
            "exponent over tokens, on which publications disagree",
        ),
    }


def _width(target: int, head: int) -> int:
    least = max(POWER_LAW_FROM, target / MOST_GROWTH)
    return min(target, math.ceil(least / head) * head)


def _told(value: Any, why: str) -> dict[str, Any]:
    return {"value": value, "why": why}


def calibration_for(case: AdviceCase) -> dict[str, Any]:
    """Return the specification of a small calibration, what it costs and what it settles; or why there is none."""
    kind = case.parameterization or Parameterization.STANDARD
    given = {
        "parameterization": kind.value,
        "optimizer": case.optimizer.value,
        "widths": list(WIDTHS),
        "search": "telescope",
        "proxy": {"architecture": "transformer", "head_dim": 16},
    }
    try:
        spec = CalibrationSpec.from_dict(given)
        demand = demand_of(spec)
    except InvalidInputError as error:
        return {"specification": None, "refused": str(error)}
    return {
        "specification": given,
        "refused": None,
        "trials": demand.trials,
        "flops": demand.flops,
        "settles": f"whether the best base learning rate of {kind.value} with {case.optimizer.value} stays over widths "
        f"{WIDTHS[0]} to {WIDTHS[-1]}, as an exponent with its interval; not which parameterization has the lowest "
        "loss at your size, and not the exponent over batch or tokens (`horizons` measures the latter)",
    }
