"""The nouns of a calibration: what is written is read back, defaults are filled once, older JSON is upgraded."""

import json
from dataclasses import fields
from typing import Any

import pytest

from tests.migrations.released import SHARD, SPEC
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec, ProxySpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Architecture, Measured, Role, Search, ShardKind, TrialStatus

LEAST: dict[str, Any] = {"parameterization": "mup", "optimizer": "adam", "widths": [64, 32]}
TRIAL: dict[str, Any] = {"width": 32, "learning_rate": 0.1, "seed": 0, "loss": 2.5}


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def test_a_specification_is_read_back_as_it_was_written() -> None:
    spec = CalibrationSpec.from_dict(
        {
            **LEAST,
            "proxy": {"architecture": "transformer", "tied": True},
            "measure": ["learning_rate", "horizon"],
            "alignment": {"hidden": {"alpha": 0.8, "omega": 0.5, "u": 0.8}},
            "readout_omega": 1.0,
        }
    )
    assert CalibrationSpec.from_dict(through_json(spec.to_dict())) == spec
    of_information = {"search": "information", "target_width": 512, "precision": 0.5, "budget": 1e15}
    named = CalibrationSpec.from_dict({**spec.to_dict(), **of_information})
    assert CalibrationSpec.from_dict(through_json(named.to_dict())) == named
    assert named.to_dict().keys() == {field.name for field in fields(CalibrationSpec)}
    # left out where they are not set, as specifications of before are stored
    assert named.to_dict().keys() - spec.to_dict().keys() == {"target_width", "precision", "budget"}
    assert spec.horizons == (200, 400, 800)
    assert (spec.proxy.sequence_length, spec.proxy.batch_size) == (64, 32)
    assert spec.base_width == 32


def test_a_specification_of_the_first_version_means_what_it_meant() -> None:
    spec = CalibrationSpec.from_dict({key: value for key, value in SPEC.items() if key != "search"})
    assert spec.search is Search.GRID
    assert spec.mesh == 0.5
    assert spec.early_stopping
    assert spec.to_dict().items() >= SPEC.items()
    assert CalibrationSpec(
        **{**{f.name: getattr(spec, f.name) for f in fields(spec) if f.name != "search"}}
    ).is_telescope


def test_unknown_fields_are_left_alone() -> None:
    assert CalibrationSpec.from_dict({**LEAST, "of_a_newer_version": 1}) == CalibrationSpec.from_dict(LEAST)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parameterization": None}, "spec.parameterization"),
        ({"optimizer": "sophia"}, "spec.optimizer"),
        ({"widths": []}, "spec.widths"),
        ({"widths": [0]}, "spec.widths"),
        ({"widths": "64"}, "spec.widths"),
        ({"learning_rates": [0.1, float("nan")]}, "spec.learning_rates"),
        ({"seeds": True}, "spec.seeds"),
        ({"steps": 0}, "spec.steps"),
        ({"epsilon": 0}, "spec.epsilon"),
        ({"mesh": "fine"}, "spec.mesh"),
        ({"early_stopping": 1}, "spec.early_stopping"),
        ({"alignment": 3}, "spec.alignment"),
        ({"measure": ["sharpness"]}, "spec.measure"),
        ({"proxy": 3}, "spec.proxy"),
        ({"proxy": {"architecture": "cnn"}}, "spec.proxy.architecture"),
        ({"proxy": {"depth": 0}}, "spec.proxy.depth"),
        ({"proxy": {"dataset": ""}}, "spec.proxy.dataset"),
        ({"atan2": {"a": -1}}, "spec.atan2.a"),
    ],
)
def test_a_wrong_specification_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        CalibrationSpec.from_dict({**LEAST, **change})
    assert error.value.field == field
    assert field in str(error.value)


def test_an_mlp_writes_no_field_of_a_transformer() -> None:
    assert "tied" not in ProxySpec().to_dict()
    assert ProxySpec.from_dict({"architecture": "transformer"}) == ProxySpec.of(Architecture.TRANSFORMER)


def test_a_shard_lists_its_trials() -> None:
    shard = ShardSpec(8, (0.1, 0.2), (0,), ShardKind.GAMMA, Role.HIDDEN, (1.0, 2.0))
    assert shard.trials() == {
        TrialIdentity(8, rate, 0, Role.HIDDEN, gamma) for rate in (0.1, 0.2) for gamma in (1.0, 2.0)
    }
    assert shard.measurements() == set()
    assert shard.runs == 4
    assert ShardSpec.from_dict(through_json(shard.to_dict())) == shard
    assert ShardSpec.from_dict(SHARD) == ShardSpec(32, (0.1, 0.2, 0.4), (0,))


def test_a_measuring_shard_lists_its_measurements() -> None:
    shard = ShardSpec(8, (0.1,), (0, 1), ShardKind.MEASURE, measure=(Measured.EPSILON,))
    assert shard.trials() == set()
    assert shard.measurements() == {MeasurementIdentity(8, seed, Measured.EPSILON) for seed in (0, 1)}
    with pytest.raises(InvalidInputError, match="gamma"):
        ShardSpec.from_dict({**shard.to_dict(), "measure": ["gamma"]})


def test_a_trial_is_read_back_and_an_upload_implies_its_status() -> None:
    trial = Trial.from_dict(TRIAL)
    assert trial.status is TrialStatus.COMPLETED
    assert trial.identity == TrialIdentity(32, 0.1, 0)
    assert trial.is_plain
    assert Trial.from_dict(through_json(trial.to_dict())) == trial
    assert Trial.from_dict({**TRIAL, "loss": None}).status is TrialStatus.DIVERGED
    assert Trial.from_dict({**TRIAL, "role": "", "horizon": 0, "gamma": None}) == trial  # as columns hold no value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width": 0}, "trial.width"),
        ({"seed": -1}, "trial.seed"),
        ({"learning_rate": 0}, "trial.learning_rate"),
        ({"loss": float("inf")}, "trial.loss"),
        ({"loss": 1e309}, "trial.loss"),
        ({"status": "lost"}, "trial.status"),
        ({"status": "diverged"}, "trial.loss"),
        ({"status": "completed", "loss": None}, "trial.loss"),
        ({"role": "head"}, "trial.role"),
        ({"gamma": 0}, "trial.gamma"),
        ({"horizon": -1}, "trial.horizon"),
    ],
)
def test_a_wrong_trial_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        Trial.from_dict({**TRIAL, **change})
    assert error.value.field == field


def test_a_measurement_is_read_back() -> None:
    measurement = Measurement.from_dict({"width": 8, "seed": 0, "kind": "epsilon", "data": {"steps": [1]}})
    assert Measurement.from_dict(through_json(measurement.to_dict())) == measurement
    assert measurement.identity == MeasurementIdentity(8, 0, Measured.EPSILON)
