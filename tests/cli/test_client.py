"""The HTTP client: what it asks, what it gives, and what it says when something is wrong."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest

from tests.cli.bowl import spec
from widthwise.client import PAGE_SIZE, Client
from widthwise.errors import CalibrationEndedError, ServiceError

PLAN = {
    "parameterization": "standard",
    "optimizer": "adam",
    "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8},
    "target": {"width": 4096},
}


def client_of(
    answer: Callable[[httpx.Request], httpx.Response], sleep: Callable[[float], object] = lambda _: None
) -> Client:
    """A client whose service is a function, and who does not wait."""
    return Client("http://service.test", transport=httpx.MockTransport(answer), sleep=sleep)


def scripted(answers: list[httpx.Response | Exception]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers, or failures to connect, one after another."""
    left: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    return answer


def state(name: str, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=calibration(name), headers={"Retry-After": "0", **headers})


def calibration(state: str) -> dict[str, Any]:
    """What the service answers about one, with what every version of it has."""
    return {
        "id": "cal_1",
        "state": state,
        "reason": "no reason",
        "created_at": "2026-11-01T00:00:00Z",
        "started_at": None,
        "finished_at": None,
        "spec": {},
        "progress": {"trials_done": 1, "trials_total": 4, "shards": {}},
        "estimate": {"trials": 4, "shards": 2, "training_steps": 8, "flops": 1e9},
        "result": None,
    }


def exponent(number: int) -> dict[str, Any]:
    estimate = {"value": 1.0, "standard_error": None, "interval": None, "degrees_of_freedom": 0, "theory": None}
    return {"id": str(number), "quantity": "learning_rate", "role": "hidden", "widths": [64, 128], **estimate}


def test_transfers(client: Client) -> None:
    plan = client.transfer(PLAN)
    learning_rates = {layer.role: layer.learning_rate.value for layer in plan.layers}
    assert learning_rates == {
        "embedding": 0.003,
        "hidden": 0.0001875,
        "readout": 0.0001875,
        "vector": 0.003,
        "scalar": 0.003,
    }


def test_health_and_parameterizations(client: Client) -> None:
    assert client.health()["status"] == "ready"
    assert client.parameterizations()


def test_a_key_names_one_calibration(client: Client) -> None:
    first = client.submit_calibration(spec(), idempotency_key="client-key")
    assert client.submit_calibration(spec(), idempotency_key="client-key")["id"] == first["id"]
    with pytest.raises(ServiceError, match="another") as refused:
        client.submit_calibration(spec(seeds=3), idempotency_key="client-key")
    assert refused.value.status == 422


def test_lists_trials_exponents_and_calibrations(client: Client, finish: Callable[..., str]) -> None:
    identifier = finish()
    assert len(list(client.trials(identifier))) == 3 * 9 * 2
    exponents = list(client.exponents(calibration_id=identifier, role="hidden"))
    assert [(e["role"], e["theory"]) for e in exponents] == [("hidden", 1.0)]
    assert exponents[0]["value"] == pytest.approx(1.25, abs=0.01)
    assert identifier in [calibration["id"] for calibration in client.calibrations(state="succeeded")]


def test_reads_every_page() -> None:
    pages = {None: ([exponent(1), exponent(2)], "next"), "next": ([exponent(3)], None)}
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        items, cursor = pages[request.url.params.get("cursor")]
        return httpx.Response(200, json={"items": items, "next_cursor": cursor})

    with client_of(answer) as client:
        assert [item["id"] for item in client.exponents(role="hidden", optimizer=None)] == ["1", "2", "3"]
    limit = str(PAGE_SIZE)
    assert asked == [{"role": "hidden", "limit": limit}, {"role": "hidden", "limit": limit, "cursor": "next"}]


def test_watching_ends_with_the_calibration() -> None:
    pauses: list[float] = []
    with client_of(scripted([state("queued"), state("running"), state("succeeded")]), pauses.append) as client:
        assert [seen["state"] for seen in client.watch("cal_1")] == ["queued", "running", "succeeded"]
    assert pauses == [0, 0]  # as Retry-After says


@pytest.mark.parametrize(
    ("asked", "pause"),
    [("0", 0), ("2.5", 2.5), ("-1", 0), ("86400", 60), ("Wed, 21 Oct 1998 07:28:00 GMT", 0), ("soon", 1)],
)
def test_watching_waits_as_long_as_the_service_asks_within_a_minute(asked: str, pause: float) -> None:
    pauses: list[float] = []
    answers: list[httpx.Response | Exception] = [state("queued", **{"Retry-After": asked}), state("succeeded")]
    with client_of(scripted(answers), pauses.append) as client:
        assert len(list(client.watch("cal_1"))) == 2
    assert pauses == [pause]


def test_watching_outlives_a_restart_of_the_service() -> None:
    pauses: list[float] = []
    gone, starting = httpx.ConnectError("refused"), httpx.Response(503, json={"title": "not ready"})
    answers: list[httpx.Response | Exception] = [state("running"), gone, starting, state("failed")]
    with (
        client_of(scripted(answers), pauses.append) as client,
        pytest.raises(CalibrationEndedError, match="cal_1 failed: no reason") as ended,
    ):
        client.wait("cal_1")
    assert ended.value.calibration.state == "failed"
    assert pauses == [0, 1, 1]  # Retry-After, then a second for each look in vain


def test_watching_gives_up_on_a_service_that_stays_away() -> None:
    with client_of(scripted([state("running"), httpx.ConnectError("refused")])) as client:
        watched = client.watch("cal_1", outage_seconds=0)
        assert next(watched)["state"] == "running"
        with pytest.raises(ServiceError, match="no service"):
            next(watched)


def test_waiting_has_a_limit_and_tells_progress() -> None:
    seen: list[str] = []
    with (
        client_of(scripted([state("running")] * 3)) as client,
        pytest.raises(ServiceError, match="still running after"),
    ):
        client.wait("cal_1", timeout_seconds=0, on_progress=lambda calibration: seen.append(calibration["state"]))
    assert seen == ["running"]


def test_no_service(unused_url: str) -> None:
    with Client(unused_url) as client, pytest.raises(ServiceError) as failed:
        client.health()
    assert str(failed.value) == f"no service at {unused_url}: start one with `widthwise serve`"
    assert failed.value.status is None


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:8000", "ftp://host", "http://", "service"),
        *("http://[::1", "http://127.0.0.1:abc", "http://ä..b", "http://h/?x=1", "http://h/#a"),
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ServiceError, match="not the URL of a service"):
        Client(address)


def test_a_problem_names_each_field(client: Client) -> None:
    bad: dict[str, Any] = {**PLAN, "base": {"width": -1, "learning_rate": 0.003}, "surprise": 1}
    with pytest.raises(ServiceError) as failed:
        client.transfer(bad)
    text = str(failed.value)
    assert "#/base/width" in text
    assert "got -1" in text
    assert "#/surprise" in text
    assert failed.value.status == 422
    assert failed.value.problem["type"] == "/problems/invalid-request"


def test_a_problem_lists_the_tensors_that_cannot_be_placed(client: Client) -> None:
    tensors = [{"name": f"w{i}", "base_shape": [64, 128], "target_shape": [256, 512]} for i in range(8)]
    with pytest.raises(ServiceError) as failed:
        client.transfer({**PLAN, "tensors": tensors})
    assert "8 tensor(s) can't be placed: 'w*' (×8): " in str(failed.value)
    (group,) = cast(list[dict[str, Any]], failed.value.problem["tensors"])
    assert (group["name"], group["count"]) == ("w*", 8)


@pytest.mark.parametrize("status", [200, 404, 502])
def test_something_else_answers(status: int) -> None:
    page = httpx.Response(status, html="<h1>hello</h1>")
    with client_of(lambda _: page) as client, pytest.raises(ServiceError, match="is it a Widthwise service") as failed:
        client.health()
    assert failed.value.status == status


def test_what_is_no_json_is_not_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    with client_of(answer) as client, pytest.raises(ServiceError, match="JSON"):
        client.transfer({"base": {"learning_rate": float("nan")}})


def test_an_identifier_stays_in_its_place() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200, json=calibration("queued"))

    with client_of(answer) as client:
        client.calibration("../exponents?x")
    assert asked == ["/v1/calibrations/..%2Fexponents%3Fx"]


def test_a_proxy_is_not_asked_for_this_machine(
    client: Client, monkeypatch: pytest.MonkeyPatch, unused_url: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, unused_url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Client(client.url) as proxied:
        assert proxied.health()["status"] == "ready"


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTHWISE_URL", "http://elsewhere:1234/")
    with Client() as client:
        assert client.url == "http://elsewhere:1234"


def test_an_answer_of_another_service() -> None:
    elsewhere = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    with Client("http://127.0.0.1:9", transport=elsewhere) as client:
        for ask in (lambda: list(client.exponents()), lambda: client.calibration("x"), lambda: client.transfer({})):
            with pytest.raises(ServiceError, match="is it a Widthwise service"):
                ask()


KEY = "ww_0123456789abcdef_" + "s" * 43


def test_the_key_goes_to_the_service_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent as a bearer token, by argument or by the environment; a redirect is not followed."""
    asked: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers.get("Authorization")))
        return httpx.Response(307, headers={"Location": "http://elsewhere.test/steal"})

    monkeypatch.setenv("WIDTHWISE_API_KEY", f"{KEY}\n")
    clients = [
        Client("http://service.test", transport=httpx.MockTransport(answer)),
        Client("http://service.test", api_key="another", transport=httpx.MockTransport(answer)),
        Client("http://service.test", api_key="", transport=httpx.MockTransport(answer)),
    ]
    for client in clients:
        with client, pytest.raises(ServiceError) as failed:
            client.calibration("cal_1")
        assert KEY not in str(failed.value) + repr(failed.value)
    address = "http://service.test/v1/calibrations/cal_1"
    assert asked == [(address, f"Bearer {KEY}"), (address, "Bearer another"), (address, None)]


@pytest.mark.parametrize(
    ("status", "key", "advice"),
    [(401, "", "Set WIDTHWISE_API_KEY"), (401, KEY, "is not accepted"), (403, KEY, "a key with that scope")],
)
def test_a_refused_key_is_not_shown_and_what_to_do_is(status: int, key: str, advice: str) -> None:
    echo = {"title": "Refused", "detail": f"You sent {KEY}." if key else "No key."}
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=echo))
    with Client("http://service.test", api_key=key, transport=transport) as client, pytest.raises(ServiceError) as it:
        client.calibration("cal_1")
    assert advice in str(it.value)
    assert KEY not in str(it.value)


@pytest.mark.parametrize("key", ["ww_two words", "ww_\nX-Evil: 1", "ww_ä", "x" * 513])
def test_what_is_no_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ServiceError, match="widthwise keys create") as refused:
        Client("http://service.test", api_key=key)
    assert key not in str(refused.value)


def test_watching_waits_as_long_as_a_limit_asks() -> None:
    pauses: list[float] = []
    limited = httpx.Response(429, json={"title": "Too many requests"}, headers={"Retry-After": "7"})
    with client_of(scripted([state("running"), limited, limited, state("succeeded")]), pauses.append) as client:
        assert [seen["state"] for seen in client.watch("cal_1", outage_seconds=0)] == ["running", "succeeded"]
    assert pauses == [0, 7, 7]
