"""The published rules about one thing next to each other: what each would make of the same request."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.choice import chosen_rules
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.theory.optimizers import decay_mode_in_force
from widthwise.transfers.plan import LayerPlan, Plan, TensorPlan
from widthwise.transfers.request import TransferRequest
from widthwise.vocabulary import Role, WeightDecayMode, known_word

NO_RULE = "none"  #: the word of the line without any rule about it
_SHOWN = (Role.EMBEDDING, Role.HIDDEN)


def alternatives(request: TransferRequest, plan_of: Callable[[TransferRequest], Plan]) -> dict[str, Any]:
    """Return, by what the request asks to compare, every rule with what it does to η, λ and η·λ per step.

    A rule that can't be applied has the reason as `refused`. `apart` is by how much the rules differ at most in η·λ.
    """
    return {
        about.value: _compared(request, about, plan_of)
        for about in (known_word(About, word, "alternatives") for word in request.alternatives)
    }


def _compared(request: TransferRequest, about: About, plan_of: Callable[[TransferRequest], Plan]) -> dict[str, Any]:
    asked = _small(request)
    in_plan = next((rule.word for rule in chosen_rules(request.rules) if rule.about is about), NO_RULE)
    others = {name: choice for name, choice in request.rules.items() if name != about.value}
    without = [_line(replace(asked, rules=others), None, in_plan, plan_of)]
    rows = without + [
        _line(
            replace(asked, rules={**others, about.value: request.rules[about.value] if word == in_plan else word}),
            rule,
            in_plan,
            plan_of,
        )
        for word, rule in BY_WORD[about].items()
    ]
    applied = [row["roles"] for row in rows if row["refused"] is None and row["rule"] != NO_RULE]
    return {"rules": rows, "apart": dict(_apart(applied))}


def _small(request: TransferRequest) -> TransferRequest:
    """The request without its tensors if the widths tell every role, since each rule is a whole transfer."""
    if request.base.width is None or request.target.width is None:
        return request
    of_roles = [each for each in request.code_multipliers if each.role is not None]
    return replace(request, tensors=(), code_multipliers=of_roles)


def _line(
    request: TransferRequest,
    rule: type[NamedRule] | None,
    in_plan: str,
    plan_of: Callable[[TransferRequest], Plan],
) -> dict[str, Any]:
    word = NO_RULE if rule is None else rule.word
    row: dict[str, Any] = {
        "rule": word,
        "in_plan": word == in_plan,
        "source": None if rule is None else rule.source,
        "formula": "what all other rules leave" if rule is None else rule.formula,
        "holds": None if rule is None else rule.holds,
        "refused": None,
        "roles": {},
    }
    try:
        plan = plan_of(request)
    except InvalidInputError as error:
        return {**row, "refused": str(error)}
    return {**row, "roles": dict(_by_role(request, plan))}


def _by_role(request: TransferRequest, plan: Plan) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines: Sequence[LayerPlan | TensorPlan] = plan.layers or plan.tensors
    for role in _SHOWN:
        line = next((each for each in lines if each.role is role), None)
        if line is not None:
            yield role.value, _numbers(request, line)


def _numbers(request: TransferRequest, line: LayerPlan | TensorPlan) -> dict[str, float | str | None]:
    rate, decay = line.learning_rate, line.weight_decay
    scheme = request.scheme()
    independent = decay_mode_in_force(scheme.optimizer, scheme.weight_decay_mode) is WeightDecayMode.INDEPENDENT
    multiplier = decay.multiplier if independent else decay.multiplier * rate.multiplier
    after = decay.value if independent else _times(rate.value, decay.value)
    return {
        "of": line.name if isinstance(line, TensorPlan) else None,
        "learning_rate": rate.value,
        "weight_decay": decay.value,
        "weight_decay_multiplier": decay.multiplier,
        "decay_per_step_before": None if after is None else after / multiplier,
        "decay_per_step": after,
        "decay_per_step_multiplier": multiplier,
    }


def _times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def _apart(rows: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[str, float]]:
    """By role, the largest factor on η·λ over the smallest."""
    for role in _SHOWN:
        factors = [row[role.value]["decay_per_step_multiplier"] for row in rows if role.value in row]
        if factors and math.isfinite(ratio := max(factors) / min(factors)):
            yield role.value, ratio
