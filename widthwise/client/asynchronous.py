"""The client whose methods are awaited."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from widthwise.client import calibration_calls, calls, sweep_calls
from widthwise.client.connection import (
    FAILURES,
    checked_key,
    failed,
    http_options,
    reply_of,
    request_options,
    service_url,
    without_userinfo,
)
from widthwise.client.core import Core
from widthwise.client.methods import awaited, iterated_later
from widthwise.client.retries import Retries
from widthwise.client.steps import Item, Listing, OneAnswer, Pause, Reply, Sent
from widthwise.errors import ServiceError

T = TypeVar("T")


class AsyncClient:
    """One service, from an event loop. Use it as an asynchronous context manager, or await `aclose`."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Prepare requests to the service at `base_url`; the arguments are those of `Client`."""
        url = service_url(base_url).rstrip("/")
        self.url = without_userinfo(url)
        key = checked_key(api_key)
        self._http = httpx.AsyncClient(**http_options(url, key, timeout_seconds), transport=transport)
        self._core = Core(key, retries or Retries())
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"  # without the key

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def finished(self, asked: OneAnswer[T]) -> T:
        """Carry out a call of `widthwise.client.calls` and return its answer; the methods below do so."""
        answer: list[T] = []
        async for _ in self._run(asked, answer.append):
            pass
        return answer[0]

    async def listed(self, listing: Listing[T]) -> AsyncIterator[T]:
        """Carry out a listing and yield its items; the methods below do so."""
        async for item in self._run(listing, lambda _: None):
            yield item

    async def _run(self, steps: Any, done: Callable[[Any], object]) -> AsyncIterator[Any]:
        """Carry out steps; yield the items, and pass what the steps return to `done`."""
        exchange = self._core.carried_out(iter(steps))
        given: Reply | None = None
        failure: ServiceError | None = None
        try:
            while True:
                try:
                    step = exchange.send(given) if failure is None else exchange.throw(failure)
                except StopIteration as end:
                    done(end.value)
                    return
                given, failure = None, None
                if isinstance(step, Item):
                    yield step.value
                elif isinstance(step, Pause):
                    await self._sleep(step.seconds)
                else:
                    try:
                        given = await self._reply(step)
                    except ServiceError as error:
                        failure = error
        finally:
            exchange.close()

    async def _reply(self, sent: Sent) -> Reply:
        try:
            return reply_of(await self._http.request(**request_options(sent, self._http.timeout)))
        except FAILURES as error:
            raise failed(error, sent, self.url) from None

    health = awaited(calls.health)
    metrics = awaited(calls.metrics)
    transfer = awaited(calls.transfer)
    export_plan = awaited(calls.export_plan)
    plot_transfer = awaited(calls.plot_transfer)
    exports = awaited(calls.exports)
    advise = awaited(calls.advise)
    parameterizations = awaited(calls.parameterizations)
    exponents = iterated_later(calls.exponents)
    workers = awaited(calls.workers)

    submit_calibration = awaited(calibration_calls.submit_calibration)
    estimate_calibration = awaited(calibration_calls.estimate_calibration)
    extend_calibration = awaited(calibration_calls.extend_calibration)
    estimate_extension = awaited(calibration_calls.estimate_extension)
    calibration = awaited(calibration_calls.calibration)
    calibrations = iterated_later(calibration_calls.calibrations)
    label_calibration = awaited(calibration_calls.label_calibration)
    cancel = awaited(calibration_calls.cancel)
    delete = awaited(calibration_calls.delete)
    retry = awaited(calibration_calls.retry)
    upload_trials = awaited(calibration_calls.upload_trials)
    finish = awaited(calibration_calls.finish)
    compare = awaited(calibration_calls.compare)
    measurements = iterated_later(calibration_calls.measurements)
    trials = iterated_later(calibration_calls.trials)
    shards = awaited(calibration_calls.shards)
    plot = awaited(calibration_calls.plot)
    width_plot = awaited(calibration_calls.width_plot)
    calibration_fit = awaited(calibration_calls.calibration_fit)
    report = awaited(calibration_calls.report)
    watch = iterated_later(calibration_calls.watch)
    wait = awaited(calibration_calls.wait)

    create_sweep = awaited(sweep_calls.create_sweep)
    add_runs = awaited(sweep_calls.add_runs)
    sweeps = iterated_later(sweep_calls.sweeps)
    sweep = awaited(sweep_calls.sweep)
    label_sweep = awaited(sweep_calls.label_sweep)
    sweep_runs = iterated_later(sweep_calls.sweep_runs)
    fit_sweep = awaited(sweep_calls.fit_sweep)
    predict_sweep = awaited(sweep_calls.predict_sweep)
    plot_sweep = awaited(sweep_calls.plot_sweep)
    delete_sweep = awaited(sweep_calls.delete_sweep)
