"""A parameter of a named rule: what it is called, what it may be, and what it is if a request leaves it out."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Literal

_KEY = "parameter"  # in the metadata of a rule's field

#: By the type of a rule's field: what a reader gives.
_KINDS: Mapping[Any, Literal["number", "interval", "text"]] = {
    float: "number",
    float | None: "number",
    tuple[float, float] | None: "interval",
    str | None: "text",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says of its field, and the field's type does not."""

    label: str
    term: str
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class RuleParameter:
    """A field of a rule, as a form or a list shows it."""

    name: str  #: in a request
    kind: Literal["number", "interval", "text"]
    label: str  #: what it is called
    term: str  #: the word of the glossary that explains it; empty if none does
    low: float
    high: float
    unit: str  #: empty for a pure number
    default: Any  #: None if the rule has none
    is_required: bool


def said(
    label: str, low: float = float("-inf"), high: float = float("inf"), *, term: str = "", unit: str = ""
) -> Mapping[str, Said]:
    """Return the metadata of a rule's field. low, high: what its numbers may be."""
    return {_KEY: Said(label, term, low, high, unit)}


def parameters_of(rule: Any) -> tuple[RuleParameter, ...]:
    """Return the parameters of a rule or of its class, in the order of its fields.

    KeyError if a field has no words (`said`), or a type that no form can ask for.
    """
    return tuple(_parameter(each, each.metadata[_KEY]) for each in fields(rule))


def _parameter(field: Field[Any], words: Said) -> RuleParameter:
    has_default = field.default is not MISSING
    return RuleParameter(
        name=field.name,
        kind=_KINDS[field.type],
        label=words.label,
        term=words.term,
        low=words.low,
        high=words.high,
        unit=words.unit,
        default=field.default if has_default else None,
        is_required=not has_default,
    )
