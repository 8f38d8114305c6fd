"""The client whose methods wait for their answer."""

import time
from collections.abc import Callable, Generator, Iterator
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
from widthwise.client.methods import answered, iterated
from widthwise.client.retries import Retries
from widthwise.client.steps import Item, Listing, OneAnswer, Pause, Reply, Sent
from widthwise.errors import ServiceError

T = TypeVar("T")


class Client:
    """One service. Use it as a context manager, or call `close`; safe to share between threads."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare requests to the service at `base_url` (default: see `service_url`); nothing is sent yet.

        api_key: for a service that requires one (default: WIDTHWISE_API_KEY). It is sent only to this service, since no
        redirect is followed, and never appears in an error.
        timeout_seconds: how long one attempt may take.
        retries: how often a request that failed for a passing reason is sent again.
        transport: how requests are sent, for instance to an application in this process.
        sleep: called with the seconds to wait; for instance the wait of a threading.Event.
        """
        url = service_url(base_url).rstrip("/")
        self.url = without_userinfo(url)
        key = checked_key(api_key)
        self._http = httpx.Client(**http_options(url, key, timeout_seconds), transport=transport)
        self._core = Core(key, retries or Retries())
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"Client({self.url!r})"  # without the key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def finished(self, asked: OneAnswer[T]) -> T:
        """Carry out a call of `widthwise.client.calls` and return its answer; the methods below do so."""
        run = self._run(asked)
        while True:
            try:
                next(run)
            except StopIteration as end:
                answer: T = end.value
                return answer

    def listed(self, listing: Listing[T]) -> Iterator[T]:
        """Carry out a listing and yield its items; the methods below do so."""
        yield from self._run(listing)

    def _run(self, steps: Any) -> Generator[Any, None, Any]:
        """Carry out steps; yield the items, return what the steps return."""
        exchange = self._core.carried_out(iter(steps))
        given: Reply | None = None
        failure: ServiceError | None = None
        try:
            while True:
                try:
                    step = exchange.send(given) if failure is None else exchange.throw(failure)
                except StopIteration as end:
                    return end.value
                given, failure = None, None
                if isinstance(step, Item):
                    yield step.value
                elif isinstance(step, Pause):
                    self._sleep(step.seconds)
                else:
                    try:
                        given = self._reply(step)
                    except ServiceError as error:
                        failure = error
        finally:
            exchange.close()

    def _reply(self, sent: Sent) -> Reply:
        try:
            return reply_of(self._http.request(**request_options(sent, self._http.timeout)))
        except FAILURES as error:
            raise failed(error, sent, self.url) from None

    health = answered(calls.health)
    metrics = answered(calls.metrics)
    transfer = answered(calls.transfer)
    export_plan = answered(calls.export_plan)
    plot_transfer = answered(calls.plot_transfer)
    exports = answered(calls.exports)
    advise = answered(calls.advise)
    parameterizations = answered(calls.parameterizations)
    exponents = iterated(calls.exponents)
    workers = answered(calls.workers)

    submit_calibration = answered(calibration_calls.submit_calibration)
    estimate_calibration = answered(calibration_calls.estimate_calibration)
    extend_calibration = answered(calibration_calls.extend_calibration)
    estimate_extension = answered(calibration_calls.estimate_extension)
    calibration = answered(calibration_calls.calibration)
    calibrations = iterated(calibration_calls.calibrations)
    label_calibration = answered(calibration_calls.label_calibration)
    cancel = answered(calibration_calls.cancel)
    delete = answered(calibration_calls.delete)
    retry = answered(calibration_calls.retry)
    upload_trials = answered(calibration_calls.upload_trials)
    finish = answered(calibration_calls.finish)
    compare = answered(calibration_calls.compare)
    measurements = iterated(calibration_calls.measurements)
    trials = iterated(calibration_calls.trials)
    shards = answered(calibration_calls.shards)
    plot = answered(calibration_calls.plot)
    width_plot = answered(calibration_calls.width_plot)
    calibration_fit = answered(calibration_calls.calibration_fit)
    report = answered(calibration_calls.report)
    watch = iterated(calibration_calls.watch)
    wait = answered(calibration_calls.wait)

    create_sweep = answered(sweep_calls.create_sweep)
    add_runs = answered(sweep_calls.add_runs)
    sweeps = iterated(sweep_calls.sweeps)
    sweep = answered(sweep_calls.sweep)
    label_sweep = answered(sweep_calls.label_sweep)
    sweep_runs = iterated(sweep_calls.sweep_runs)
    fit_sweep = answered(sweep_calls.fit_sweep)
    predict_sweep = answered(sweep_calls.predict_sweep)
    plot_sweep = answered(sweep_calls.plot_sweep)
    delete_sweep = answered(sweep_calls.delete_sweep)
