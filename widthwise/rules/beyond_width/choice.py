"""The rules that a request names, from their JSON form; what two of them may not settle both."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.parameter import parameters_of
from widthwise.rules.beyond_width.registry import BY_WORD

#: By what a rule is about: its word, or an object with the word as `rule` and its parameters, or the rule.
RuleChoices = Mapping[str, str | Mapping[str, Any] | NamedRule]
_IMPLIED = {About.TOKENS: "horizon"}  # {"exponent": h} says all there is to say


def chosen_rules(choices: RuleChoices) -> tuple[NamedRule, ...]:
    """Return the rules that are named, in the order in which they act.

    Raises InvalidInputError for a word that is not known, a parameter that is out of range or unknown, and two rules
    that settle the same.
    """
    if not choices:
        return ()
    for about in choices:
        if about not in set(About):
            known = ", ".join(repr(each.value) for each in About)
            raise InvalidInputError(f"rules has no {about!r}; there are {known}", field="rules")
    chosen = tuple(_chosen(about, choices[about.value]) for about in About if choices.get(about.value) is not None)
    for one, other in combinations(chosen, 2):
        if both := ({one.about} | one.also_sets) & ({other.about} | other.also_sets):
            (shared, *_) = sorted(both)
            raise InvalidInputError(
                f"{one.field} {one.word!r} and {other.field} {other.word!r} both settle {shared.meaning} "
                f"({one.formula}; {other.formula}); leave one out",
                field=other.field,
            )
    return chosen


def _chosen(about: About, choice: str | Mapping[str, Any] | NamedRule) -> NamedRule:
    field = f"rules.{about.value}"
    if isinstance(choice, NamedRule):
        if choice.about is not about:
            raise InvalidInputError(f"{field} is {choice.word!r}, a rule of {choice.about.value}", field=field)
        return choice
    if not isinstance(choice, str | Mapping):
        raise InvalidInputError(f"{field} is {choice!r}; {_words(about)}", field=field)
    given = {"rule": choice} if isinstance(choice, str) else dict(choice)
    word = given.pop("rule", _IMPLIED.get(about))
    rule = BY_WORD[about].get(word) if isinstance(word, str) else None
    if word == "measured":
        raise InvalidInputError(
            f"{field} is 'measured', which a service takes from a sweep: name one as exponents.id with source 'sweep' "
            "(--sweep), or give another rule",
            field=field,
        )
    if rule is None:
        raise InvalidInputError(f"{field} is {word!r}; {_words(about)}", field=field)
    parameters = {each.name: each for each in parameters_of(rule)}
    for name in given:
        if name not in parameters:
            has = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise InvalidInputError(f"{field} {word!r} has no parameter {name!r}; {has}", field=f"{field}.{name}")
    for name, parameter in parameters.items():
        if parameter.is_required and name not in given:
            bounds = f"a number from {parameter.low:g} to {parameter.high:g}"
            raise InvalidInputError(
                f"{field}.{name} is missing, which {word!r} needs; give {bounds}", field=f"{field}.{name}"
            )
    return rule(**given)


def _words(about: About) -> str:
    return f"give one of {', '.join(repr(word) for word in BY_WORD[about])}, or an object with it as rule"
