"""Compares two calibrations: which of specification, code and device differ, and whether their losses do."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.http.identifiers import IDENTIFIER_PATTERN
from service.store import ComparedTrials, StoredCalibration, provenance


class Difference(BaseModel):
    """A key with different values in the two."""

    key: str = Field(description="Dotted, such as `proxy.depth` or `versions.jax`.")
    this: Any = Field(None, description="Null if it has none.")
    other: Any = Field(None, description="Null if it has none.")


class SpecificationComparison(BaseModel):
    """Whether two specifications are the same."""

    same: bool
    differences: list[Difference]


class CodeComparison(BaseModel):
    """Whether the same code trained both: digests of the sources that determine a loss."""

    same: bool | None = Field(description="Null if either recorded none.")
    this: list[str]
    other: list[str]


class DeviceComparison(BaseModel):
    """Whether the same kind of device and the same versions trained both."""

    same: bool | None = Field(description="Null if either recorded none.")
    differences: list[Difference] = Field(
        description="Values are lists, since a calibration may have run on several devices."
    )


class TrialComparison(BaseModel):
    """The trials that both have: the same width, learning rate, seed, role, gamma and horizon."""

    common: int
    equal: int = Field(description="The same status and, bit for bit, the same loss.")
    different: int
    largest_difference: float | None = Field(
        description="Largest difference of two losses, in nats; null without two losses."
    )
    only_this: int
    only_other: int


class ComparisonBody(BaseModel):
    """Which of specification, code and device differ between two calibrations, and whether their losses do."""

    this: str
    other: str
    specification: SpecificationComparison
    code: CodeComparison
    device: DeviceComparison
    trials: TrialComparison


class Comparing(BaseModel):
    """Query of GET /v1/calibrations/{id}/comparison."""

    model_config = ConfigDict(extra="forbid")

    other: Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)] = Field(
        description="Identifier of the calibration to compare with."
    )


def compare(this: StoredCalibration, other: StoredCalibration, trials: ComparedTrials) -> dict[str, Any]:
    """Return the JSON form of a comparison (`ComparisonBody`)."""
    specification = _differences(_flat(this.stored_spec), _flat(other.stored_spec))
    recorded = bool(this.environments and other.environments)
    devices = _differences(
        _sorted(provenance.describe(this.environments)), _sorted(provenance.describe(other.environments))
    )
    ran, other_ran = provenance.codes(this.environments), provenance.codes(other.environments)
    return {
        "this": this.id,
        "other": other.id,
        "specification": {"same": not specification, "differences": specification},
        "code": {"same": ran == other_ran if ran and other_ran else None, "this": ran, "other": other_ran},
        "device": {"same": not devices if recorded else None, "differences": devices if recorded else []},
        "trials": {**asdict(trials), "different": trials.common - trials.equal},
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return {"proxy.depth": 2, …}; lists are not flattened."""
    found: dict[str, Any] = {}
    for key, part in value.items():
        found |= _flat(part, f"{prefix}{key}.") if isinstance(part, Mapping) else {f"{prefix}{key}": part}
    return found


def _differences(these: Mapping[str, Any], others: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = dict.fromkeys([*these, *others])
    return [
        {"key": key, "this": these.get(key), "other": others.get(key)}
        for key in keys
        if these.get(key) != others.get(key)
    ]


def _sorted(values: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Sort the values, so that the order of devices does not matter."""
    return {name: sorted(found, key=str) for name, found in values.items()}
