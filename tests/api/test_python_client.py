"""The asynchronous client against the whole application: every operation, typed answers, problems as exceptions."""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from tests.api.samples import CONTRACT, bowl, spec
from widthwise import AsyncClient, Client, Plan, TransferRequest
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.client.calibrations import KeptTrial
from widthwise.errors import (
    ServiceConflictError,
    ServiceError,
    ServiceNotFoundError,
    ServiceRequestError,
)
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.transfers.transfer import plan_of

#: Operations without a method of the client, and why.
LEFT_OUT = {
    "streamCalibrationEvents": "`watch` and `wait` say the same by polling, which survives proxies and restarts"
}

ROWS = [
    {"learning_rate": rate, "loss": 3.0 + 0.1 * (number - 2) ** 2 + 1e-3 * width, "seed": 0, "width": width}
    for width in (64, 128, 256)
    for number, rate in enumerate((0.001, 0.002, 0.004, 0.008, 0.016))
]

Recorded = Callable[[], AbstractAsyncContextManager[tuple[AsyncClient, set[tuple[str, str]]]]]


class Recording(httpx.ASGITransport):
    """Sends to the application, and remembers method and path of what was sent."""

    def __init__(self, app: FastAPI, seen: set[tuple[str, str]]) -> None:
        super().__init__(app)
        self.seen = seen

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.add((request.method.lower(), request.url.path))
        return await super().handle_async_request(request)


@pytest.fixture
def recorded(app: FastAPI) -> Recorded:
    """A client of the application, with what it has asked."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[AsyncClient, set[tuple[str, str]]]]:
        seen: set[tuple[str, str]] = set()
        async with AsyncClient(transport=Recording(app, seen), sleep=no_pause) as client:
            yield client, seen

    return opened


async def no_pause(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


def test_it_reaches_every_operation_and_reads_every_answer(recorded: Recorded, app: FastAPI) -> None:
    operations = {
        (method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path))): operation["operationId"]
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }

    async def ask_everything() -> set[tuple[str, str]]:
        async with recorded() as (client, seen):
            await ask_the_service(client)
            await ask_about_calibrations(client)
            await ask_about_sweeps(client)
            return seen

    seen = anyio.run(ask_everything)
    reached = {
        name
        for (method, pattern), name in operations.items()
        if any(method == sent and pattern.fullmatch(path) for sent, path in seen)
    }
    assert len(operations) > 30  # fewer: the document lost its routes
    assert set(operations.values()) - reached == set(LEFT_OUT)


async def ask_the_service(client: AsyncClient) -> None:
    assert (await client.health()).status == "ready"
    assert "widthwise_" in await client.metrics()
    plan = await client.transfer(CONTRACT)
    assert plan == Plan.from_dict(plan_of(TransferRequest.from_dict(CONTRACT)).to_dict())
    file = await client.export_plan(CONTRACT, "yaml")
    assert (file.file_name.endswith(".yaml"), file.plan_digest) == (True, plan.digest)
    assert (await client.plot_transfer(CONTRACT, suffix="csv")).text.startswith("quantity,unit,role,width,")
    assert {"yaml", "csv"} <= {form.name for form in await client.exports()}
    advice = await client.advise({"optimizer": "adamw", "base": {"width": 256}, "target": {"width": 4096}})
    assert advice.options[0].rank == 1
    settings = await client.parameterizations(form="table_8")
    assert {"a", "b", "c", "g"} == set(settings[0].exponents["hidden"])
    assert await client.workers() == []


async def ask_about_calibrations(client: AsyncClient) -> None:
    asked = CalibrationSpec.from_dict(spec(runner="external"))
    estimated = await client.estimate_calibration(asked)
    submitted = await client.submit_calibration(asked)
    assert submitted.spec == estimated.spec == asked
    assert submitted.estimate == estimated.estimate
    with pytest.raises(ServiceConflictError):
        await client.finish(submitted.id)
    await client.upload_trials(submitted.id, bowl())
    finished = await client.finish(submitted.id)
    assert [one.width for one in finished.optima] == [64, 128, 256]
    assert (await client.wait(finished.id)).state == "succeeded"
    assert [seen.state async for seen in client.watch(finished.id)] == ["succeeded"]
    trials = [trial async for trial in client.trials(finished.id)]
    assert {type(trial.trial) for trial in trials} == {Trial}
    assert len(trials) == len(bowl())
    assert [one async for one in client.measurements(finished.id)] == []
    exponents = [one async for one in client.exponents(calibration_id=finished.id)]
    assert {one.role for one in exponents} >= {one.role for one in finished.exponents}
    report = await client.report(finished.id)
    assert report.plot.text.startswith("<svg")
    assert report.width_plot is not None
    for draw in (client.plot, client.width_plot):
        assert (await draw(finished.id, suffix="csv")).media_type == "text/csv"
    fit = await client.calibration_fit(finished.id, multiples=[2, 8])
    assert (fit.optima, [one["width"] for one in fit.predictions]) == (finished.optima, [512, 2048])
    named = await client.label_calibration(finished.id, {"name": "wide", "note": "before the tokenizer"})
    assert (named.name, named.note) == ("wide", "before the tokenizer")
    assert [one.id async for one in client.calibrations(name="wide")] == [finished.id]
    assert [one.id async for one in client.calibrations(extends=finished.id)] == []
    estimated = await client.estimate_extension(finished.id, {"seeds": 3})
    assert (estimated.spec.seeds, estimated.shared_trials) == (3, finished.progress.trials_done)
    extended = await client.extend_calibration(finished.id, {"seeds": 3})
    assert extended.extends == finished.id
    assert (await client.compare(finished.id, extended.id)).this == finished.id
    worked = await client.submit_calibration(spec(), name="narrow")
    assert worked.name == "narrow"
    assert {shard.state for shard in await client.shards(worked.id)} == {"queued"}
    with pytest.raises(ServiceConflictError):
        await client.retry(worked.id)
    assert (await client.report(worked.id)).width_plot is None
    assert (await client.cancel(worked.id)).ended
    await client.delete(worked.id)
    assert worked.id not in [one.id async for one in client.calibrations()]


async def ask_about_sweeps(client: AsyncClient) -> None:
    sweep = await client.create_sweep(
        "a sweep", ROWS[:5], prescribed=["width"], parameterization="mup", optimizer="adam"
    )
    assert (await client.add_runs(sweep.id, ROWS)).added == len(ROWS) - 5
    assert (await client.sweep(sweep.id)).axes["width"].high == 256
    assert [one.id async for one in client.sweeps()] == [sweep.id]
    renamed = await client.label_sweep(sweep.id, {"name": "renamed", "notes": "of last week"})
    assert (renamed.name, renamed.notes, renamed.revision) == ("renamed", "of last week", 2)
    assert [one.name async for one in client.sweeps()] == ["renamed"]
    assert len([run async for run in client.sweep_runs(sweep.id)]) == len(ROWS)
    assert len((await client.fit_sweep(sweep.id)).optima) == 3
    predicted = await client.predict_sweep(sweep.id, [{"width": 512}], holdout=("width", "max"))
    assert isinstance(predicted.predictions[0], SweepPrediction)
    assert predicted.predictions[0].published
    assert (await client.plot_sweep(sweep.id)).text.startswith("<svg")
    await client.delete_sweep(sweep.id)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name not in ("close", "aclose")
        }

    assert methods(Client) == methods(AsyncClient)
    assert inspect.signature(Client.transfer).return_annotation is Plan
    assert inspect.signature(Client.trials).return_annotation == Iterator[KeptTrial]
    assert inspect.signature(AsyncClient.trials).return_annotation == AsyncIterator[KeptTrial]
    assert len(methods(Client)) > 30
    assert all(inspect.getdoc(getattr(Client, name)) for name in methods(Client))


@pytest.mark.parametrize(
    ("ask", "kind", "slug"),
    [
        (lambda client: client.calibration("cal_none"), ServiceNotFoundError, "not-found"),
        (lambda client: client.transfer({"surprise": 1}), ServiceRequestError, "invalid-request"),
        (lambda client: client.fit_sweep("swp_none"), ServiceNotFoundError, "not-found"),
    ],
)
def test_a_problem_is_an_exception_of_its_kind(
    recorded: Recorded, ask: Callable[[AsyncClient], Coroutine[Any, Any, object]], kind: type[ServiceError], slug: str
) -> None:
    async def refused() -> ServiceError:
        async with recorded() as (client, _):
            with pytest.raises(kind) as failed:
                await ask(client)
        return failed.value

    error = anyio.run(refused)
    assert (error.slug, error.retry_after, error.attempts) == (slug, None, 1)
    assert error.detail in str(error)
    assert error.status == error.problem["status"]


def test_a_refused_request_names_each_fault(recorded: Recorded) -> None:
    async def refused() -> ServiceError:
        async with recorded() as (client, _):
            with pytest.raises(ServiceRequestError) as failed:
                await client.transfer({**CONTRACT, "surprise": 1})
        return failed.value

    assert [fault["pointer"] for fault in anyio.run(refused).errors] == ["#/surprise"]
