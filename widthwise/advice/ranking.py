"""The ranking: choices of parameterization, optimizer and alignment by published loss, with what each rests on."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from widthwise.advice.beyond import is_adam_like, rules_for
from widthwise.advice.case import AdviceCase, MayChange
from widthwise.advice.evidence import (
    LARGER,
    LOSSES,
    PROXY,
    PROXY_SOURCE,
    REMARKS,
    SETTING,
    SGD,
    SMALLER,
    SOURCE,
    Losses,
)
from widthwise.advice.proxy import calibration_for, proxy_for
from widthwise.theory.optimizers import OPTIMIZERS, update_scale
from widthwise.vocabulary import Optimizer, Parameterization

#: Nats. Losses closer than this are not told apart (chosen: no spread over seeds could be read).
SAME = 0.005
ADAM = (Optimizer.ADAM, Optimizer.ADAMW, Optimizer.ADAM_ATAN2)
EXPLANATION = (
    "Lines are ordered by the lowest published loss at the size nearest to the target's parameters (the larger one if "
    "they are not known). Lines whose losses differ by less than 0.005 nats from the first are marked as not told "
    "apart: choose among them by what your code has. The losses are Adam's; for another optimizer they only say how "
    "parameterizations compared under Adam, which a line says as `basis`. A calibration of your own does not move a "
    "line, since it measures exponents and not losses at your size; it says whether the line's exponents hold, and its "
    "id stands with them."
)


def advise(case: AdviceCase, measured: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return ranked options, rules, a proxy and a calibration for a case, as JSON-ready values.

    measured: stored exponents as GET /v1/exponents has them; those of other settings are ignored.
    """
    size = _size(case)
    found = sorted(_options(case), key=lambda each: (_loss(each, size), each.epsilon_by_layer))
    best = _loss(found[0], size) if found else math.inf
    return {
        "options": [
            {"rank": rank, **_line(case, each, size, best, measured)} for rank, each in enumerate(found, start=1)
        ],
        "explanation": EXPLANATION,
        "compared_at_parameters": size,
        "rules": list(rules_for(case)),
        "proxy": proxy_for(case),
        "calibration": calibration_for(case),
        "thin": list(_thin(case)),
    }


def _size(case: AdviceCase) -> float:
    parameters = case.target.parameters
    return LARGER if parameters is None or parameters > math.sqrt(SMALLER * LARGER) else SMALLER


def _loss(losses: Losses, size: float) -> float:
    loss = losses.smaller if size == SMALLER else losses.larger
    return math.inf if loss is None else loss


def _options(case: AdviceCase) -> Iterator[Losses]:
    for each in LOSSES:
        if MayChange.PARAMETERIZATION not in case.may_change and each.parameterization is not case.parameterization:
            continue
        scaled = each.optimizer is Optimizer.ADAM_PARAMETER_SCALING
        if scaled and case.optimizer is not each.optimizer and MayChange.OPTIMIZER not in case.may_change:
            continue
        yield each


def _optimizer_of(case: AdviceCase, each: Losses) -> Optimizer:
    """The user's own, except for the line that is about another."""
    return each.optimizer if each.optimizer is Optimizer.ADAM_PARAMETER_SCALING else case.optimizer


def _basis(optimizer: Optimizer, each: Losses) -> str:
    if optimizer is each.optimizer or (optimizer in ADAM and each.optimizer is Optimizer.ADAM):
        return "measured"
    # an update that is orthogonal or preconditioned has exponents for some roles that are not Adam's
    other = update_scale(optimizer).follows is not None or bool(OPTIMIZERS[optimizer].scales)
    return "another optimizer's losses" if other else "same exponents as Adam"


def _line(
    case: AdviceCase, each: Losses, size: float, best: float, measured: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    optimizer = _optimizer_of(case, each)
    loss = _loss(each, size)
    rests = [
        {"statement": f"loss {loss:.3f} at {size / 1e9:.3g}B parameters ({SETTING})", "source": SOURCE}
        if math.isfinite(loss)
        else {"statement": f"loss {each.larger:.3f} at 26.8B; none could be read at this size", "source": SOURCE},
        {"statement": REMARKS[each.parameterization], "source": None},
    ]
    if each.parameterization in (Parameterization.STANDARD, Parameterization.MUP) and not each.epsilon_by_layer:
        rests.append({"statement": PROXY, "source": PROXY_SOURCE})
    return {
        "parameterization": each.parameterization.value,
        "optimizer": optimizer.value,
        "alignment": each.alignment,
        "learning_rates": "one for all tensors" if each.alignment is None else "by layer",
        "epsilon": "by layer" if each.epsilon_by_layer else "one for all tensors",
        "loss": loss if math.isfinite(loss) else None,
        "not_told_apart": loss - best < SAME,
        "in_use": each.parameterization is case.parameterization and optimizer is case.optimizer,
        "basis": _basis(optimizer, each),
        "rests_on": rests,
        "calibrations": [_measured(row) for row in measured if _matches(row, each, optimizer)],
    }


def _matches(row: Mapping[str, Any], each: Losses, optimizer: Optimizer) -> bool:
    setting = (row["parameterization"], row["optimizer"], row["alignment"])
    return row["quantity"] == "learning_rate" and setting == (each.parameterization, optimizer, each.alignment)


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("calibration_id", "role", "value", "interval", "theory", "widths", "architecture", "dataset")
    return {name: row[name] for name in names}


def _thin(case: AdviceCase) -> Iterator[str]:
    """What no evidence here covers."""
    label = OPTIMIZERS[case.optimizer].label
    if case.optimizer is Optimizer.SGD:
        yield SGD
    if case.optimizer not in (*ADAM, Optimizer.ADAM_PARAMETER_SCALING):
        yield (
            f"no published losses compare parameterizations under {label}: the order is Adam's. The calibration below "
            "settles whether the exponents hold, not which loss is lowest"
        )
    if not is_adam_like(case):
        yield f"the rules of depth, batch and tokens are for updates like Adam's, so none is offered for {label}"
    if case.target.parameters is not None and case.target.parameters > LARGER:
        yield f"the target has {case.target.parameters:.3g} parameters; the losses end at 26.8B"
    yield "the losses were measured on one corpus, with one shape of model; no spread over seeds could be read"
