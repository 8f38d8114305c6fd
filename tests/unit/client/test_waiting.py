"""Waiting for a calibration: it ends with it, in time, or with Ctrl-C, and leaves no half a line behind."""

import io
import sys
from collections.abc import Callable

import anyio
import httpx
import pytest

from tests.unit.client.test_shown import Terminal, calibration
from widthwise import AsyncClient, Client
from widthwise.errors import CalibrationEndedError, ServiceNotFoundError, StillRunningError

URL = "http://service.test"


def answering(*states: str) -> httpx.MockTransport:
    left = list(states)

    def answer(_: httpx.Request) -> httpx.Response:
        body = dict(calibration(left.pop(0) if len(left) > 1 else left[0]).raw)
        return httpx.Response(200, json=body, headers={"Retry-After": "10"})

    return httpx.MockTransport(answer)


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal instead of stderr; not a fixture, since pytest replaces stderr between fixtures and test."""
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    return stream


def client_of(transport: httpx.MockTransport, sleep: Callable[[float], object] = lambda _: None) -> Client:
    return Client(URL, transport=transport, sleep=sleep)


def test_it_returns_what_succeeded_and_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with client_of(answering("queued", "running", "succeeded")) as client:
        assert client.wait("cal_1").state == "succeeded"
    assert [line.split()[0] for line in terminal.getvalue().split("\r")[1:]] == ["queued", "running", "succeeded"]
    assert terminal.getvalue().endswith("\n")


def test_it_shows_nothing_if_it_should_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with client_of(answering("succeeded")) as client:
        client.wait("cal_1", progress=False)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("state", "said"), [("failed", "failed: <script>"), ("cancelled", "was cancelled: ")])
def test_it_raises_with_the_reason(state: str, said: str) -> None:
    with client_of(answering("running", state)) as client, pytest.raises(CalibrationEndedError, match=said) as ended:
        client.wait("cal_1")
    assert ended.value.calibration.state == state


def test_it_does_not_sleep_beyond_its_time() -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    client = client_of(answering("running"), sleep)
    client._core.clock = lambda: now[0]
    with client, pytest.raises(StillRunningError, match="after 25 s"):
        client.wait("cal_1", timeout_seconds=25)
    assert pauses == [10, 10, 5]


def test_ctrl_c_ends_the_line_and_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with client_of(answering("running"), interrupt) as client, pytest.raises(KeyboardInterrupt):
        client.wait("cal_1")
    assert terminal.getvalue().endswith("left\n")


def test_one_that_is_not_there_is_said_at_once() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"title": "No such resource", "detail": "There is none."})

    with client_of(httpx.MockTransport(answer)) as client, pytest.raises(ServiceNotFoundError):
        client.wait("cal_1")


def test_it_can_be_awaited_and_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    seen: list[str] = []

    async def wait() -> bool:
        with anyio.CancelScope() as scope:

            async def cancelled(_: float) -> None:
                scope.cancel()
                await anyio.lowlevel.checkpoint()

            async with AsyncClient(URL, transport=answering("running"), sleep=cancelled) as client:
                await client.wait("cal_1", on_progress=lambda found: seen.append(found.state))
        return scope.cancelled_caught

    assert anyio.run(wait)
    assert seen == ["running"]
    assert terminal.getvalue().endswith("left\n")


def test_a_stream_that_is_no_terminal_stays_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    with client_of(answering("succeeded")) as client:
        client.wait("cal_1")
    assert stream.getvalue() == ""
