"""The fields of the rules' parameters as HTML: those of a rule are shown while it is chosen."""

import re
from collections.abc import Iterable, Iterator
from html import escape

from service.dashboard.choices import RULES
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.beyond_width.parameter import RuleParameter, parameters_of
from widthwise.rules.beyond_width.registry import BY_WORD

_MARK = re.compile(r"<!-- parameters (\w+) -->")


def with_parameters(template: str) -> str:
    """Return a page with the parameters of each list's rules where its template leaves room for them.

    >>> "batch_surge_noise_scale" in with_parameters("<!-- parameters batch_rule -->")
    True
    """
    return _MARK.sub(lambda found: "".join(_boxes(found[1])), template)


def _boxes(name: str) -> Iterator[str]:
    for word, rule in BY_WORD[RULES[name]].items():
        required = [each for each in parameters_of(rule) if each.is_required]
        others = [each for each in parameters_of(rule) if not each.is_required]
        rest = _fields(rule, others)
        if required and others:  # they say more of a number, once there is one
            rest = f'<div class="row" data-when="{_name(rule, required[0])}" hidden>{rest}</div>'
        if required or others:
            yield f'<div data-when="{name}={word}" hidden>{_fields(rule, required)}{rest}</div>'


def _fields(rule: type[NamedRule], parameters: Iterable[RuleParameter]) -> str:
    return "".join(_field(rule, each) for each in parameters)


def _name(rule: type[NamedRule], parameter: RuleParameter) -> str:
    """Each rule has its own field: two of them may differ in what they take under one name."""
    return f"{rule.about.value}_{rule.word}_{parameter.name}"


def _field(rule: type[NamedRule], parameter: RuleParameter) -> str:
    term = f" <!-- term {parameter.term} -->" if parameter.term else ""
    return (
        f"<label>{escape(parameter.label)}{term}"
        f'<input name="{_name(rule, parameter)}"'
        f' inputmode="{"decimal" if parameter.kind == "number" else "text"}" placeholder="{escape(_hint(parameter))}"'
        f' data-path="rules.{rule.about.value}.{parameter.name}" data-rule="{rule.word}"'
        f' data-kind="{parameter.kind}"></label>'
    )


def _hint(parameter: RuleParameter) -> str:
    """What an empty field stands for, or else what it may hold."""
    if parameter.default is not None:
        return _written(parameter.default)
    if parameter.kind == "text":
        return "none"
    return parameter.unit or f"{_written(parameter.low)} to {_written(parameter.high)}"


def _written(number: float) -> str:
    return f"{number:g}".replace("-", "−")
