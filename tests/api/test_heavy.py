"""Heavy requests of one owner hold up neither light requests nor another owner's heavy ones."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing

import anyio
import httpx
import pytest
from fastapi import FastAPI

from service.auth.tokens import Token
from service.http.lanes import RETRY_SECONDS
from service.settings import Settings
from service.store import ComparedTrials, Store, create_store_engine
from service.store.results.trials import Trials
from tests.api.client import client_of
from tests.api.keyed import Keyed, bearer, keyed_app, new_key
from tests.api.samples import bowl, finished, spec
from widthwise.calibration.trial import Trial

MANY = 60  # more than the threads of all routes together
SOON_SECONDS = 5.0  # a listing takes milliseconds


class HeldTrials(Trials):
    """Trials that are read only once the gate opens."""

    gate: threading.Event

    def all(self, calibration_id: str) -> list[Trial]:
        """Wait, then read."""
        assert self.gate.wait(60)
        return super().all(calibration_id)

    def compared(self, this: str, other: str) -> ComparedTrials:
        """Wait, then compare."""
        assert self.gate.wait(60)
        return super().compared(this, other)


class HeldStore(Store):
    """A store in which reading every trial takes as long as the test wants."""

    gate = threading.Event()

    def _see(self, view: object) -> None:
        super()._see(view)  # type: ignore[arg-type]  # a View, which only the store names
        self.trials = HeldTrials(self._view)
        self.trials.gate = self.gate


@pytest.fixture
def held(settings: Settings) -> Iterator[HeldStore]:
    """The application's store."""
    store = HeldStore(create_store_engine(settings.database_url))
    store.gate = threading.Event()
    yield store
    store.gate.set()
    store.close()


def heavy_requests(app: FastAPI, token: Token, paths: list[str], light: str, other: Token) -> tuple[float, list[int]]:
    """Send them all at once, and a light one of another owner meanwhile: its seconds, and the statuses of the rest."""

    async def send() -> tuple[float, list[int]]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as client:
            answers: list[httpx.Response] = []

            async def one(path: str) -> None:
                answers.append(await client.get(path, headers=bearer(token)))

            async with anyio.create_task_group() as tasks:
                for path in paths:
                    tasks.start_soon(one, path)
                await anyio.sleep(0.5)  # for every thread to be taken
                began = anyio.current_time()
                with anyio.move_on_after(SOON_SECONDS):
                    assert (await client.get(light, headers=bearer(other))).status_code == 200
                seconds = anyio.current_time() - began
                app.state.store.gate.set()
            refused = [answer for answer in answers if answer.status_code == 429]
            assert all(answer.headers["retry-after"] == str(RETRY_SECONDS) for answer in refused)
            return seconds, sorted(answer.status_code for answer in answers)

    return anyio.run(send)


@pytest.mark.parametrize("kind", ["comparison", "plot.svg", "widths.svg", "fit"])
def test_another_owners_list_is_read_at_once(settings: Settings, held: HeldStore, kind: str) -> None:
    busy, other = new_key(held, "alice"), new_key(held, "bob")
    app = keyed_app(settings, held)
    with client_of(app) as client:
        identifier = finished(Keyed(client, busy))
    path = f"/v1/calibrations/{identifier}/{kind}" + (f"?other={identifier}" if kind == "comparison" else "")
    seconds, statuses = heavy_requests(app, busy, [path] * MANY, "/v1/calibrations", other)
    assert seconds < SOON_SECONDS, "the list waited for the heavy requests"
    assert statuses == [200] * MANY  # each got its turn once the first was done


def test_submissions_that_wait_for_the_database_leave_threads_for_others(app: FastAPI, settings: Settings) -> None:
    file = settings.database_url.removeprefix("sqlite:///")

    async def send() -> tuple[float, list[int]]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as client:
            statuses: list[int] = []

            async def submit() -> None:
                statuses.append((await client.post("/v1/calibrations", json=spec())).status_code)

            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # no other connection can write meanwhile
                async with anyio.create_task_group() as tasks:
                    for _ in range(MANY):
                        tasks.start_soon(submit)
                    await anyio.sleep(0.5)  # for every thread to be taken
                    began = anyio.current_time()
                    with anyio.move_on_after(SOON_SECONDS):
                        assert (await client.get("/v1/calibrations")).status_code == 200
                    seconds = anyio.current_time() - began
                    other.execute("ROLLBACK")
            return seconds, statuses

    seconds, statuses = anyio.run(send)
    assert seconds < SOON_SECONDS, "the list waited for the submissions"
    assert statuses == [202] * MANY


def test_those_whose_turn_does_not_come_are_refused(settings: Settings, held: HeldStore) -> None:
    busy, other = new_key(held, "alice"), new_key(held, "bob")
    app = keyed_app(settings, held)
    app.state.lane.patience_seconds = 0.2
    with client_of(app) as client:
        identifier = finished(Keyed(client, busy))
    path = f"/v1/calibrations/{identifier}/comparison?other={identifier}"
    _, statuses = heavy_requests(app, busy, [path] * 5, "/v1/calibrations", other)
    assert statuses == [200, 429, 429, 429, 429]
    with client_of(app) as client:
        text = Keyed(client, other).get("/metrics").text
    assert "widthwise_rate_limited_total 4.0" in text
    assert "widthwise_heavy_requests_waiting 0.0" in text


def test_every_heavy_route_takes_the_lane(settings: Settings, store: Store) -> None:
    key = new_key(store)
    app = keyed_app(settings, store)
    with client_of(app) as plain:
        client = Keyed(plain, key)
        identifier = finished(client)
        address = f"/v1/calibrations/{identifier}"
        external = client.post("/v1/calibrations", json=spec(runner="external", seeds=32)).json()["id"]
        app.state.lane.patience_seconds = 0.0
        app.state.lane.in_all = 0  # nobody's turn ever comes
        many = {"trials": bowl(seeds=32) + bowl(seeds=32, widths=[64])}
        heavy = (
            client.get(f"{address}/comparison", params={"other": identifier}),
            client.get(f"{address}/plot.svg"),
            client.get(f"{address}/widths.svg"),
            client.post(f"{address}/extensions", json={"widths": [512]}),
            client.post(f"{address}/extensions/estimates", json={"widths": [512]}),
            client.post(f"{address}/finish"),
            client.post(f"/v1/calibrations/{external}/trials", json=many),
        )
        assert [answer.status_code for answer in heavy] == [429] * len(heavy)
        few = {"trials": bowl()}
        light = (client.get(address), client.post(f"/v1/calibrations/{external}/trials", json=few))
        assert [answer.status_code for answer in light] == [200, 200]
