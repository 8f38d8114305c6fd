"""Asks everything of a service, in one order, and notes what it answers."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.api.client import Client
from tests.recorded import asks, cautioned, door, refusals, worked

Json = dict[str, Any]
_EXPONENT = ("quantity", "optimizer", "parameterization", "widths", "role", "value")
_TOLD = ("idempotency-replayed", "allow", "cache-control")


def _noted(response: httpx.Response, *, sort: bool = True) -> Json:
    kind = response.headers.get("content-type", "").partition(";")[0]
    body: Any = response.json() if "json" in kind else response.text
    if kind == "text/event-stream":
        body = _events(body)
    if sort and isinstance(body, dict) and "quantity" in (body.get("items") or [{}])[0]:
        # exponents of one calibration were stored at one moment, with random ids: their order says nothing
        body["items"].sort(key=lambda item: json.dumps([item[name] for name in _EXPONENT]))
    headers = {name: response.headers[name] for name in _TOLD if name in response.headers}
    return {"status": response.status_code, "content_type": kind, "headers": headers, "body": body}


def _events(text: str) -> list[Json]:
    """Server-sent events, their data read as JSON; comments are left out."""
    events = []
    for part in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


def transfers(client: Client) -> Json:
    """Every transfer, answered and refused, and the theory."""
    refused = [*asks.refused_transfers(), *cautioned.more_refused()]
    asked = [*asks.transfers(), *cautioned.more_transfers(), *((f"refused: {name}", body) for name, body in refused)]
    answers = {name: _noted(client.post("/v1/transfers", json=body)) for name, body in asked}
    assert len(answers) == len(asked)
    return {**answers, "theory": _noted(client.get("/v1/parameterizations"))}


def commands() -> Json:
    """Every run of `widthwise transfer … --json`: what it ends with, and the plan."""
    answers: Json = {}
    for name, arguments, stdin in cautioned.commands():
        code, out, err = door.command(["transfer", *arguments, "--json"], stdin)
        answers[name] = {"code": code, "plan": json.loads(out) if out else None, "says_something": bool(err)}
    return answers


def requests(client: Client) -> Json:
    """Requests that are invalid, whatever they ask for."""
    answers: Json = {}
    for name, method, path, options in refusals.requests():
        answers[name] = _noted(client.request(method, path, **options))
    return answers


def calibrations(client: Client) -> Json:
    """Calibrations submitted, uploaded, finished, listed, extended, compared; and transfers with what they measured."""
    answers: Json = {}
    for name, spec in [*asks.refused_specifications(), *refusals.specifications()]:
        answers[f"refused: {name}"] = _noted(client.post("/v1/calibrations", json=spec))
    for name, spec in asks.specifications():
        created = client.post("/v1/calibrations", json=spec)
        answers[f"submitted: {name}"] = _noted(created)
        answers[f"shards: {name}"] = _noted(client.get(f"{created.headers['location']}/shards"))
        client.post(f"{created.headers['location']}/cancel")
    ids: dict[str, str] = {}
    for name, spec, trials in asks.uploads():
        address = client.post("/v1/calibrations", json=spec).headers["location"]
        ids[name] = address.rpartition("/")[2]
        answers[f"uploaded: {name}"] = _noted(client.post(f"{address}/trials", json={"trials": trials}))
        answers[f"finished: {name}"] = _noted(client.post(f"{address}/finish"))
        answers[f"exponents: {name}"] = _noted(client.get(f"/v1/exponents?calibration_id={ids[name]}"))
        answers[f"plot: {name}"] = _noted(client.get(f"{address}/plot.svg"))
        answers[f"widths: {name}"] = _noted(client.get(f"{address}/widths.svg"))
        for kind, body in (
            ("transfer", _measured(spec, ids[name])),
            ("transfer to a role", _embedding(spec, ids[name])),
        ):
            answers[f"{kind}: {name}"] = _noted(client.post("/v1/transfers", json=body))
    for name, change in refusals.other_settings():
        body = {**_measured(asks.specification(), ids["drift adam"]), **change}
        answers[f"other setting: {name}"] = _noted(client.post("/v1/transfers", json=body))
    answers["other setting"] = _noted(
        client.post("/v1/transfers", json=asks.transfer(exponents={"source": "calibration", "id": ids["edge"]}))
    )
    flat = f"/v1/calibrations/{ids['flat']}"
    answers["trials"] = _noted(client.get(f"{flat}/trials?limit=20"))
    answers["extended"] = _noted(client.post(f"{flat}/extensions", json={"widths": [1024]}))
    answers["extended too little"] = _noted(client.post(f"{flat}/extensions", json={}))
    answers["compared"] = _noted(client.get(f"{flat}/comparison?other={ids['shift']}"))
    answers["compared with itself"] = _noted(client.get(f"{flat}/comparison?other={ids['flat']}"))
    answers["filtered"] = _noted(client.get("/v1/exponents?role=hidden&optimizer=adam&limit=5"))
    answers["listed"] = _noted(client.get("/v1/calibrations?state=succeeded&limit=3"))
    for name, body in refusals.extensions():
        answers[f"refused extension: {name}"] = _noted(client.post(f"{flat}/extensions", json=body))
    return {**answers, **_submissions(client), **_conflicts(client, ids)}


def _measured(spec: Json, identifier: str) -> Json:
    """A transfer in a calibration's setting, with what it measured."""
    return asks.transfer(
        spec["parameterization"],
        spec["optimizer"],
        tensors=asks.UNTIED,
        layout="out_in",
        exponents={"source": "calibration", "id": identifier},
    )


def _embedding(spec: Json, identifier: str) -> Json:
    """The same where nothing says how wide the model is."""
    base = {name: value for name, value in asks.BASE.items() if name != "width"}
    return {**_measured(spec, identifier), "base": base, "target": {}, "tensors": [asks.TENSORS[0], asks.UNTIED[-1]]}


def _submissions(client: Client) -> Json:
    """A submission under a key, sent again, and with another body."""
    spec, other = asks.specification(seeds=1), asks.specification(seeds=3)
    asked = {"first": spec, "replayed": spec, "reused": other}
    answers = {
        f"key: {name}": _noted(client.post("/v1/calibrations", json=body, headers={"Idempotency-Key": "one"}))
        for name, body in asked.items()
    }
    bad = client.post("/v1/calibrations", json=spec, headers={"Idempotency-Key": "two words"})
    return {**answers, "key: malformed": _noted(bad)}


def _conflicts(client: Client, ids: dict[str, str]) -> Json:
    """What the state of a calibration does not allow, and exponents that are not there."""
    queued = client.post("/v1/calibrations", json=asks.specification(seeds=2)).json()["id"]
    few = client.post("/v1/calibrations", json=asks.specification(runner="external")).json()["id"]
    one = {"trials": [{"width": 64, "learning_rate": 0.01, "seed": 0, "loss": 2.5}]}
    elsewhere = {"trials": [{"width": 65, "learning_rate": 0.01, "seed": 0, "loss": 2.5}]}
    nameless = {"source": "calibration", "id": "cal_000000000000000000000000"}
    posts: Iterable[tuple[str, str, Any]] = (
        ("finish without trials", f"{few}/finish", None),
        ("finish with one", f"{few}/trials", one),
        ("of no width", f"{few}/trials", elsewhere),
        ("finish too early", f"{few}/finish", None),
        ("upload to workers", f"{queued}/trials", one),
        ("finish of workers", f"{queued}/finish", None),
        ("extend unfinished", f"{queued}/extensions", {"seeds": 4}),
        ("retry unfinished", f"{queued}/retry", None),
        ("retry succeeded", f"{ids['flat']}/retry", None),
        ("upload to finished", f"{ids['flat']}/trials", one),
        ("finish again", f"{ids['flat']}/finish", None),
        ("cancel", f"{queued}/cancel", None),
        ("cancel again", f"{queued}/cancel", None),
        ("finish cancelled", f"{queued}/finish", None),
        ("upload to cancelled", f"{queued}/trials", one),
    )
    answers: Json = {}
    body = _measured(asks.specification(), queued)
    answers["exponents of queued"] = _noted(client.post("/v1/transfers", json=body))
    for name, path, sent in posts:
        answers[name] = _noted(client.post(f"/v1/calibrations/{path}", **({} if sent is None else {"json": sent})))
    for name, identifier in (("cancelled", queued), ("unfinished", few)):
        body = _measured(asks.specification(), identifier)
        answers[f"exponents of {name}"] = _noted(client.post("/v1/transfers", json=body))
        answers[f"plot of {name}"] = _noted(client.get(f"/v1/calibrations/{identifier}/plot.svg"))
        answers[f"widths of {name}"] = _noted(client.get(f"/v1/calibrations/{identifier}/widths.svg"))
    answers["exponents of nobody"] = _noted(client.post("/v1/transfers", json=asks.transfer(exponents=nameless)))
    return answers


def searches(specs: dict[str, Json]) -> Json:
    """Each search run to its end by a pretended worker: the shards of every round, and the result."""
    answers: Json = {}
    for name, spec in specs.items():
        trials: list[Json] = []
        rounds: list[Sequence[Json]] = []
        while shards := door.planned(spec, trials):
            rounds.append(shards)
            trials += [trial for shard in shards for trial in asks.outcomes(shard)]
        result = json.loads(json.dumps(door.fitted(spec, trials)))
        answers[name] = {"status": 200, "body": {"rounds": rounds, "result": result}}
    return answers


def fits(given: dict[str, Json]) -> Json:
    """The result of each fit of outcomes that were given."""
    return {
        name: {"result": json.loads(json.dumps(door.fitted(fit["spec"], fit["trials"], fit["measurements"])))}
        for name, fit in given.items()
    }


def runs(folder: Path) -> Json:
    """Calibrations that a pretended worker runs: the shards that it claimed, and what came of them."""
    answers: Json = {}
    for number, (name, spec) in enumerate(worked.specifications()):
        file = folder / f"run-{number}.db"
        with door.service(file) as client, door.work(file) as work:
            identifier = client.post("/v1/calibrations", json=spec).json()["id"]
            address = f"/v1/calibrations/{identifier}"
            answers[f"claimed: {name}"] = {"shards": worked.run(work)}
            parts = ("", "/shards", "/trials", "/measurements?limit=3", "/plot.svg", "/widths.svg")
            answers |= {f"{name}{part}": _noted(client.get(f"{address}{part}")) for part in parts}
            answers[f"exponents: {name}"] = _noted(client.get("/v1/exponents?limit=500"))
            if spec.get("measure", ["learning_rate"])[0] == "learning_rate":
                body = _measured(spec, identifier)
                answers[f"transfer: {name}"] = _noted(client.post("/v1/transfers", json=body))
            again = client.post(f"{address}/extensions", json={"widths": [192]})
            answers[f"extended: {name}"] = _noted(again)
            answers[f"claimed in extension: {name}"] = {"shards": worked.run(work)}
            answers[f"extension: {name}"] = _noted(client.get(again.headers["location"]))
            compared = client.get(f"{address}/comparison?other={again.json()['id']}")
            answers[f"compared: {name}"] = _noted(compared)
    return answers


def stored(client: Client) -> Json:
    """What a service says of a database that it was given."""
    answers: Json = {}
    listed = client.get("/v1/calibrations?limit=500")
    answers["calibrations"] = _noted(listed)
    for calibration in listed.json()["items"]:
        address = f"/v1/calibrations/{calibration['id']}"
        parts = ["", "/shards", "/trials", "/measurements", "/plot.svg", "/widths.svg"]
        if calibration["state"] in ("succeeded", "failed", "cancelled"):
            parts.append("/events")  # of an open one, the stream would stay open
        for part in parts:
            answers[f"{calibration['id']}{part}"] = _noted(client.get(f"{address}{part}"))
        body = _measured(calibration["spec"], calibration["id"])
        answers[f"transfer with {calibration['id']}"] = _noted(client.post("/v1/transfers", json=body))
    queries = ("", "role=hidden", "quantity=epsilon", "optimizer=adam&architecture=mlp", "dataset=python_source")
    for query in queries:
        answers[f"exponents {query}"] = _noted(client.get(f"/v1/exponents?limit=500&{query}"), sort=False)
    for kind in ("exponents", "calibrations"):
        answers |= _pages(client, kind)
    answers["workers"] = _noted(client.get("/v1/workers"))
    return {**answers, **_extended(client, listed.json()["items"])}


def _extended(client: Client, listed: Sequence[Json]) -> Json:
    """What extensions of stored calibrations run; the last questions, since they write."""
    answers: Json = {}
    for calibration in listed:
        for name, more in (("width", {"widths": [4096]}), ("seeds", {"seeds": calibration["spec"]["seeds"] + 1})):
            response = client.post(f"/v1/calibrations/{calibration['id']}/extensions", json=more)
            noted: Json = {"status": response.status_code}
            if response.status_code == 202:
                shards = client.get(f"{response.headers['location']}/shards").json()["items"]
                told = ("kind", "width", "seeds", "learning_rates", "role", "state")
                noted["spec"] = response.json()["spec"]
                noted["shards"] = [{key: shard[key] for key in told} for shard in shards]
            answers[f"{calibration['id']} with more {name}"] = noted
    return answers


def _pages(client: Client, kind: str) -> Json:
    """Every page of a listing, by two."""
    answers: Json = {}
    cursor: str | None = ""
    while cursor is not None:
        response = client.get(f"/v1/{kind}?limit=2{cursor}")
        answers[f"{kind}, page {len(answers) + 1}"] = _noted(response, sort=False)
        following = response.json()["next_cursor"]
        cursor = None if following is None else f"&cursor={following}"
    return answers
