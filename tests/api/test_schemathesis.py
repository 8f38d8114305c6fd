"""Schemathesis over the whole OpenAPI document, in this process, with every check on: without keys, and with them."""

from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.engine import Status, events, from_schema

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store
from tests.api.keyed import bearer, keyed_settings, new_key

#: What a request that fits the schema may still be refused with; `invalid-request` would be a fault of the schema.
BEYOND_THE_SCHEMA = {
    "/problems/invalid-input",
    "/problems/unplaced-tensors",
    "/problems/idempotency-key-reused",
    "/problems/specification-too-large",
}


@pytest.mark.timeout(600)  # three minutes each next to two other processes on two cores
@pytest.mark.parametrize("keys", [False, True], ids=["open", "keys"])
def test_no_fault(settings: Settings, store: Store, keys: bool) -> None:
    # The cap of real life: a list beyond its limit is to be refused as such, and not as too many bytes.
    # Schemathesis calls an application in its own process by a name that is not this machine's.
    opened = load_settings(database_url=settings.database_url, allow_unauthenticated=True)
    if keys:
        unlimited = {"requests_per_minute": 0, "failed_keys_per_minute": 10_000}
        opened = keyed_settings(settings, max_body_bytes=opened.max_body_bytes, **unlimited)
    app = create_app(opened, store, stream_seconds=0.02, poll_seconds=0.01)
    config = schemathesis.Config.from_path(Path(__file__).parents[2] / "schemathesis.toml")
    if keys:
        config.projects.default.update(headers=bearer(new_key(store, scope="admin")))
    answered, faults = run(app, config)
    assert answered > 300  # every operation, in every phase
    assert not faults, "\n".join(faults[:10])
    if keys:
        assert app.state.guard.unauthorized >= len(app.openapi()["paths"])  # each was tried without a key too


def test_an_operation_that_lets_anyone_in_is_found(settings: Settings, store: Store) -> None:
    """The check for it is on: an application whose guard sleeps does not pass."""
    app = create_app(keyed_settings(settings), store)
    app.state.guard = None
    config = schemathesis.Config.from_path(Path(__file__).parents[2] / "schemathesis.toml")
    config.projects.default.update(headers=bearer(new_key(store, scope="admin")))
    config.update(max_failures=1)
    _, faults = run(app, config)
    assert faults
    assert all("authentication" in fault for fault in faults), faults


def run(app: FastAPI, config: schemathesis.Config) -> tuple[int, list[str]]:
    """Return the number of requests that were answered, and every fault."""
    api = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    faults: list[str] = []
    answered = 0
    for event in from_schema(api).execute():
        if isinstance(event, events.FatalError | events.NonFatalError):
            faults.append(repr(event))
        if not isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished):
            continue
        recorder = event.recorder
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.status == Status.FAILURE:
                    request = recorder.interactions[case_id].request
                    failure = check.failure_info.failure if check.failure_info else check.name
                    faults.append(f"{request.method} {request.uri} {request.body}: {failure}")
        for case_id, interaction in recorder.interactions.items():
            answered += 1
            meta, response = recorder.cases[case_id].value.meta, interaction.response
            if meta is None or response is None or response.status_code != 422:
                continue
            if meta.generation.mode.is_positive and response.json()["type"] not in BEYOND_THE_SCHEMA:
                faults.append(f"{interaction.request.uri} fits the schema: {response.json()}")
    return answered, faults
