"""The digest of a plan: SHA-256 over its canonical JSON, by which a changed file is noticed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from widthwise.errors import InvalidInputError

FIELD = "digest"  #: the field of a saved plan that holds its digest; it is not part of what is digested
_EXACT = 2**53  # below it every integer is a double, and other languages print 1.0 as 1


def canonical(value: Any) -> str:
    """Return the canonical JSON of a value: keys sorted, no spaces, and 1.0 written as 1.

    A file that another program reads and writes keeps its digest by this.

    >>> canonical({"b": [1.0, 2.5e-8], "a": None})
    '{"a":null,"b":[1,2.5e-08]}'
    """
    return json.dumps(_plain(value, {}), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(plan: Mapping[str, Any]) -> str:
    """Return the digest of a plan's dictionary, without the digest that it may carry."""
    contents = canonical({name: value for name, value in plan.items() if name != FIELD})
    return "sha256:" + hashlib.sha256(contents.encode("utf-8", "surrogatepass")).hexdigest()


def with_digest(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's dictionary with its digest."""
    return {FIELD: digest_of(plan), **{name: value for name, value in plan.items() if name != FIELD}}


def check_digest(plan: Mapping[str, Any]) -> None:
    """Raise InvalidInputError for a plan that is not what its digest was made of; a plan without one passes."""
    stated = plan.get(FIELD)
    if stated is None:
        return
    found = digest_of(plan)
    if stated != found:
        raise InvalidInputError(
            f"plan.{FIELD} is {stated!r}, and the plan has {found!r}: it was changed after it was written; export it "
            f"again, or take {FIELD!r} out to accept the change",
            field=f"plan.{FIELD}",
        )


def _plain(value: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    """known: objects and what they became, by identity, since the tensors of a plan share theirs."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if value is None or isinstance(value, str | int):
        return value
    if id(value) not in known:
        if isinstance(value, Mapping):
            known[id(value)] = value, {str(name): _plain(each, known) for name, each in value.items()}
        else:
            known[id(value)] = value, [_plain(each, known) for each in value]
    return known[id(value)][1]
