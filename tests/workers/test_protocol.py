"""The protocol of a child: the lines that are written are those of every version, and each is read back."""

import json
from typing import Any

import pytest

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Measured, Role, ShardKind, TrialStatus
from workers.protocol import (
    Described,
    ErrorKind,
    Event,
    Failed,
    Finished,
    Job,
    MeasurementDone,
    ProtocolError,
    Started,
    StepProgress,
    TrialDone,
    read_event,
)

SPEC = CalibrationSpec.from_dict({"parameterization": "mup", "optimizer": "adam", "widths": [8, 16]})
SWEEP = ShardSpec(8, (0.1, 0.2), (0, 1))
MEASURE = ShardSpec(8, (0.1,), (0,), ShardKind.MEASURE, measure=(Measured.EPSILON,))
TRIAL = Trial(8, 0.1, 0, TrialStatus.COMPLETED, 2.5, seconds=1.0, steps=3, flops=1e6)

LINES: list[tuple[Event, dict[str, Any]]] = [
    (Started({"device": "cpu"}), {"event": "started", "device": "cpu"}),
    (Described({"device": "cpu"}), {"event": "described", "device": "cpu"}),
    (TrialDone(TRIAL), {"event": "trial", "trial": TRIAL.to_dict()}),
    (
        MeasurementDone(Measurement(8, 0, Measured.EPSILON, {"steps": 3})),
        {"event": "measurement", "measurement": {"width": 8, "seed": 0, "kind": "epsilon", "data": {"steps": 3}}},
    ),
    (StepProgress(1, 4, 3, 30), {"event": "progress", "trial": 1, "of": 4, "step": 3, "steps": 30}),
    (Finished(), {"event": "finished"}),
    (
        Failed(ErrorKind.OUT_OF_MEMORY, "2 GB are missing"),
        {"event": "error", "kind": "out_of_memory", "message": "2 GB are missing"},
    ),
]


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


@pytest.mark.parametrize(("event", "line"), LINES, ids=lambda value: type(value).__name__)
def test_an_event_is_one_line_and_is_read_back(event: Event, line: dict[str, Any]) -> None:
    assert through_json(event.to_dict()) == line
    assert read_event(line) == event


def test_a_job_is_one_line_and_is_read_back() -> None:
    done = (TrialIdentity(8, 0.1, 0), TrialIdentity(8, 0.2, 1, Role.HIDDEN, 2.0), TrialIdentity(8, 0.2, 0, horizon=40))
    job = Job(SPEC, SWEEP, done, "/cache", None)
    line = through_json(job.to_dict())
    assert line == {
        "spec": SPEC.to_dict(),
        "shard": SWEEP.to_dict(),
        "done": [[0.1, 0, None, 1.0, None], [0.2, 1, "hidden", 2.0, None], [0.2, 0, None, 1.0, 40]],
        "cache_dir": "/cache",
        "corpora_dir": None,
    }
    assert Job.from_dict(line) == job


def test_a_job_of_measurements_names_them_by_kind_and_seed() -> None:
    job = Job(SPEC, MEASURE, (MeasurementIdentity(8, 3, Measured.EPSILON),))
    assert through_json(job.to_dict())["done"] == [["epsilon", 3]]
    assert Job.from_dict(through_json(job.to_dict())) == job


def test_a_pair_stands_for_a_plain_trial() -> None:
    line = {"spec": SPEC.to_dict(), "shard": {"width": 8, "learning_rates": [0.1], "seeds": [0]}, "done": [[0.1, 0]]}
    assert Job.from_dict(line).done == (TrialIdentity(8, 0.1, 0),)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spec": None}, "job.spec"),
        ({"shard": []}, "job.shard"),
        ({"shard": {**SWEEP.to_dict(), "kind": "holiday"}}, "shard.kind"),
        ({"done": 3}, "job.done"),
        ({"done": [[0.1]]}, "done"),
        ({"done": [[0.1, 0, None]]}, "done"),
        ({"done": ["ab"]}, "done"),
        ({"done": [["epsilon", 0]]}, "done.learning_rate"),
        ({"done": [[0.1, 0, "head", 1.0, None]]}, "done.role"),
        ({"cache_dir": 1}, "job.cache_dir"),
    ],
)
def test_a_wrong_job_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        Job.from_dict({**Job(SPEC, SWEEP).to_dict(), **change})
    assert error.value.field == field


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (None, "None"),
        ([], "is not a known event"),
        ({"event": 3}, "is not a known event"),
        ({"event": "holiday"}, "holiday"),
        ({"event": "trial"}, "trial.width is missing"),
        ({"event": "trial", "trial": 3}, "trial is 3"),
        ({"event": "trial", "trial": {**TRIAL.to_dict(), "loss": float("nan")}}, "trial.loss is nan"),
        ({"event": "measurement", "measurement": {"width": 8, "seed": 0, "kind": "gravity"}}, "gravity"),
        ({"event": "progress", "trial": 1}, "progress.of is missing"),
    ],
)
def test_what_is_not_an_event_breaks_the_protocol(line: Any, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        read_event(line)


def test_only_a_wrong_job_is_not_attempted_again() -> None:
    assert [kind for kind in ErrorKind if Failed(kind, "").is_final] == [ErrorKind.INVALID_INPUT]
