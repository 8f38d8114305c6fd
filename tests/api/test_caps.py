"""Caps on one specification: refused at once and with the numbers, before anything is planned."""

import time
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store
from tests.api.client import Client, client_of, problem
from tests.api.samples import finished, spec, submit

#: The most that the schema lets through: its outline takes seconds.
ENORMOUS = spec(
    widths=[1024 * (index + 1) for index in range(16)],
    seeds=32,
    steps=100_000,
    learning_rates=[2.0 ** (-12 + index / 8) for index in range(64)],
    search="grid",
    measure=["learning_rate", "gamma", "horizon", "epsilon", "alignment", "coordinates"],
    proxy={
        "architecture": "transformer",
        "head_dim": 16,
        "depth": 64,
        "sequence_length": 1024,
        "batch_size": 8192,
        "dataset": "python_docs",
    },
)


def test_an_enormous_one_is_refused_in_milliseconds(client: Client) -> None:
    seconds = []
    for _ in range(5):
        start = time.process_time()  # of this process alone, whatever else the machine does
        refused = problem(client.post("/v1/calibrations", json=ENORMOUS), 422, "specification-too-large")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05, seconds
    trials, flops, memory = refused["errors"]
    assert (trials["asked"], trials["limit"]) == (39_584, 20_000)  # as many as its outline has
    assert flops["asked"] > 1.5e28 > flops["limit"] == 1e19
    assert memory["asked"] > memory["limit"] == 256 << 30
    assert "20,000 are allowed" in refused["detail"]
    assert client.get("/v1/calibrations").json()["items"] == []


@pytest.mark.parametrize(
    ("setting", "asked", "words"),
    [
        ({"max_trials": 54}, {}, None),  # 3 widths, 9 learning rates an octave apart, 2 seeds
        ({"max_trials": 53}, {}, "54 trials are asked for, and at most 53 are allowed: leave out widths, learning rat"),
        ({"max_flops": 1e9}, {}, "floating-point operations are asked for, and at most 1e+09 are allowed"),
        ({"max_training_bytes": 1 << 30}, {}, "bytes of memory for one training run are asked for, and at most"),
        ({"max_flops": 1e9, "max_training_bytes": 1 << 30}, {"runner": "external"}, None),  # trained elsewhere
        ({"max_trials": 53}, {"runner": "external"}, "54 trials are asked for"),
        ({"max_trials": 0, "max_flops": 0, "max_training_bytes": 0}, {}, None),
    ],
)
def test_a_cap_is_told_with_what_was_asked(
    settings: Settings, store: Store, setting: dict[str, Any], asked: dict[str, Any], words: str | None
) -> None:
    changed = load_settings(**{"database_url": settings.database_url, **setting})
    with client_of(create_app(changed, store)) as client:
        answer = client.post("/v1/calibrations", json=spec(search="grid", mesh=1, **asked))
    if words is None:
        assert answer.status_code == 202, answer.text
    else:
        assert words in problem(answer, 422, "specification-too-large")["detail"]


def test_an_extension_is_capped_too(settings: Settings, store: Store) -> None:
    capped = load_settings(database_url=settings.database_url, max_trials=60)
    with client_of(create_app(capped, store)) as client:
        parent = finished(client)
        answer = client.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [512]})
        assert "72 trials" in problem(answer, 422, "specification-too-large")["detail"]
        submit(client)
