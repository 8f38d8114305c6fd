"""What an OpenAPI document promises, and which of it is no longer promised.

Names of components may change, so each $ref is replaced by what it names; prose and examples are left out. Paths,
parameters, properties, required fields, words and bounds that were recorded must still be there; more may be added.
"""

from collections.abc import Iterator
from typing import Any

PROSE = frozenset({"description", "summary", "title", "example", "examples", "discriminator"})
#: Where the keys of an object are names that users chose or read, not words of JSON Schema.
_NAMES = frozenset({"properties", "paths", "responses", "content", "headers"})


def inlined(document: dict[str, Any]) -> dict[str, Any]:
    """The paths of a document, without names of components and without prose."""
    components = document["components"]

    def walk(value: Any, within: tuple[str, ...], names: bool = False) -> Any:
        if isinstance(value, list):
            return [walk(each, within) for each in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                return {"recursive": True}
            _, _, kind, name = reference.split("/")
            return walk(components[kind][name], (*within, reference))
        return {key: walk(each, within, key in _NAMES) for key, each in value.items() if names or key not in PROSE}

    paths: dict[str, Any] = walk(document["paths"], (), names=True)
    return paths


def withdrawn(recorded: Any, now: Any, path: str = "") -> Iterator[str]:
    """What was promised and is no longer, as paths."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key, value in recorded.items():
            if key in now:
                yield from withdrawn(value, now[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is gone"
    elif isinstance(recorded, list) and isinstance(now, list):
        for index, each in enumerate(recorded):
            yield from _not_among(each, now, f"{path}[{_named(each, index)}]")
    elif recorded != now or isinstance(recorded, bool) is not isinstance(now, bool):
        yield f"{path}: {recorded!r} | {now!r}"


def _not_among(each: Any, now: list[Any], path: str) -> Iterator[str]:
    """What an entry lacks in the nearest of those there are: their order says nothing."""
    found = [list(withdrawn(each, other, path)) for other in now if _named(other, None) == _named(each, None)]
    if not found:
        yield f"{path} is gone"
    else:
        yield from min(found, key=len)


def _named(entry: Any, otherwise: Any) -> Any:
    """What tells an entry from others: a parameter by name and place, a word by itself."""
    if isinstance(entry, dict):
        return (entry["in"], entry["name"]) if "in" in entry and "name" in entry else otherwise
    return entry
