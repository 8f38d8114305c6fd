"""Schemathesis over the whole OpenAPI document, in this process, with every check on."""

from pathlib import Path

import schemathesis
from schemathesis.engine import Status, events, from_schema

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store

#: What a request that fits the schema may still be refused with; `invalid-request` would be a fault of the schema.
BEYOND_THE_SCHEMA = {
    "/problems/invalid-input",
    "/problems/unplaced-tensors",
    "/problems/idempotency-key-reused",
}


def test_no_fault(settings: Settings, store: Store) -> None:
    # The cap of real life: a list beyond its limit is to be refused as such, and not as too many bytes.
    # Schemathesis calls an application in its own process by a name that is not this machine's.
    opened = load_settings(database_url=settings.database_url, allow_unauthenticated=True)
    app = create_app(opened, store, stream_seconds=0.02, poll_seconds=0.01)
    config = schemathesis.Config.from_path(Path(__file__).parents[2] / "schemathesis.toml")
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
    assert answered > 300  # every operation, in every phase
    assert not faults, "\n".join(faults[:10])
