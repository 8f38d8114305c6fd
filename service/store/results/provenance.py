"""Provenance: what determines a loss (specification, code and device), and a warning if they were mixed."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.records import JsonObject
from service.store.database.tables import calibrations
from service.store.database.validation import checked_spec

CODE = "code_sha256"  #: an environment's digest of the sources that determine a loss; absent in older rows

#: Keys of an environment besides its code; the warning names those that differ.
DEVICE = ("device", "device_kind", "platform", "versions", "dataset_sha256", "optimizer_constants")


def add_environment(connection: sa.Connection, locked: sa.Row[Any], environment: JsonObject) -> None:
    """Record the environment that runs a part of a locked calibration, unless it is recorded already."""
    plain, _ = checked_spec(environment)
    known = list(locked.environments or ())
    if plain not in known:
        connection.execute(
            sa.update(calibrations).where(calibrations.c.id == locked.id).values(environments=[*known, plain])
        )


def provenance_of(calibration: sa.Row[Any]) -> dict[str, Any]:
    """A calibration's provenance: digest of its specification, and each device, versions and code that ran a part."""
    environments = list(calibration.environments or ())
    return {
        "spec_sha256": calibration.spec_digest,
        "runner": calibration.runner,
        "code_sha256": codes(environments),
        "environments": environments,
    }


def with_provenance(result: JsonObject, calibration: sa.Row[Any]) -> dict[str, Any]:
    """Return a result as it is stored: with its provenance, and a warning if that was mixed."""
    mixed = mixed_environments(calibration.environments or ())
    warned = {"warnings": [*result.get("warnings", ()), *mixed]} if mixed else {}
    return {**result, **warned, "provenance": provenance_of(calibration)}


def codes(environments: Sequence[JsonObject]) -> list[str]:
    """Return the distinct digests of the code, sorted; empty if none was recorded."""
    return sorted({str(environment[CODE]) for environment in environments if environment.get(CODE)})


def describe(environments: Sequence[JsonObject]) -> dict[str, list[Any]]:
    """Return the distinct device facts of environments by dotted name, in order of first appearance.

    >>> describe([{"device": "cpu", "versions": {"jax": "1"}}, {"device": "gpu", "versions": {"jax": "1"}}])
    {'device': ['cpu', 'gpu'], 'versions.jax': ['1']}
    """
    found: dict[str, list[Any]] = {}
    for environment in map(_flat, environments):
        for name, value in environment.items():
            if name != "code" and value not in found.setdefault(name, []):
                found[name].append(value)
    return found


def differing(environments: Sequence[JsonObject]) -> list[str]:
    """Return which of code, device and versions differ between environments.

    >>> differing([{"device": "cpu", "versions": {"jax": "1"}}, {"device": "gpu", "versions": {"jax": "1"}}])
    ['device']
    """
    flat = [_flat(environment) for environment in environments]
    names = dict.fromkeys(name for one in flat for name in one)
    return [name for name in names if any(one.get(name) != flat[0].get(name) for one in flat)]


def mixed_environments(environments: Sequence[JsonObject]) -> list[dict[str, str]]:
    """Return a warning if parts of a calibration ran under different code or devices; empty if all agree."""
    names = differing(environments)
    if not names:
        return []
    return [
        {
            "code": "mixed_environments",
            "message": f"parts of this calibration ran under different {', '.join(names)}, so differences between "
            "its losses may come from that; to be sure, run it again on one kind of machine with one version",
        }
    ]


def _flat(environment: JsonObject) -> dict[str, Any]:
    """Return {"code": …, "device": …, "versions.jax": …}."""
    found: dict[str, Any] = {"code": environment.get(CODE)}
    for name in DEVICE:
        value = environment.get(name)
        if isinstance(value, dict) and name == "versions":
            found |= {f"{name}.{package}": version for package, version in value.items()}
        elif value is not None:
            found[name] = value
    return found
