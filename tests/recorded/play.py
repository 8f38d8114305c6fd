"""Asks everything of a service, in one order, and notes what it answers."""

import json
from collections.abc import Sequence
from typing import Any

import httpx

from tests.api.client import Client
from tests.recorded import asks, door

Json = dict[str, Any]
_EXPONENT = ("quantity", "optimizer", "parameterization", "widths", "role", "value")


def _noted(response: httpx.Response) -> Json:
    body = response.json() if "json" in response.headers["content-type"] else response.text
    if isinstance(body, dict) and "quantity" in (body.get("items") or [{}])[0]:
        # exponents of one calibration were stored at one moment, with random ids: their order says nothing
        body["items"].sort(key=lambda item: json.dumps([item[name] for name in _EXPONENT]))
    return {"status": response.status_code, "body": body}


def transfers(client: Client) -> Json:
    """Every transfer, answered and refused, and the theory."""
    asked = [*asks.transfers(), *((f"refused: {name}", body) for name, body in asks.refused_transfers())]
    answers = {name: _noted(client.post("/v1/transfers", json=body)) for name, body in asked}
    return {**answers, "theory": _noted(client.get("/v1/parameterizations"))}


def calibrations(client: Client) -> Json:
    """Calibrations submitted, uploaded, finished, listed, extended, compared; and transfers with what they measured."""
    answers: Json = {}
    for name, spec in asks.refused_specifications():
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
        body = asks.transfer(
            spec["parameterization"],
            spec["optimizer"],
            tensors=asks.UNTIED,
            layout="out_in",
            exponents={"source": "calibration", "id": ids[name]},
        )
        answers[f"transfer: {name}"] = _noted(client.post("/v1/transfers", json=body))
    answers["other setting"] = _noted(
        client.post("/v1/transfers", json=asks.transfer(exponents={"source": "calibration", "id": ids["edge"]}))
    )
    flat = f"/v1/calibrations/{ids['flat']}"
    answers["trials"] = _noted(client.get(f"{flat}/trials?limit=20"))
    answers["extended"] = _noted(client.post(f"{flat}/extensions", json={"widths": [1024]}))
    answers["extended too little"] = _noted(client.post(f"{flat}/extensions", json={}))
    answers["compared"] = _noted(client.get(f"{flat}/comparison?with={ids['shift']}"))
    answers["filtered"] = _noted(client.get("/v1/exponents?role=hidden&optimizer=adam&limit=5"))
    answers["listed"] = _noted(client.get("/v1/calibrations?state=succeeded&limit=3"))
    return answers


def searches(specs: dict[str, Json]) -> Json:
    """Each search run to its end by a pretended worker: the shards of every round, and the result."""
    answers: Json = {}
    for name, spec in specs.items():
        trials: list[Json] = []
        rounds: list[Sequence[Json]] = []
        while shards := door.planned(spec, trials):
            rounds.append(shards)
            trials += [trial for shard in shards for trial in _pretended(shard)]
        result = json.loads(json.dumps(door.fitted(spec, trials)))
        answers[name] = {"status": 200, "body": {"rounds": rounds, "result": result}}
    return answers


def _pretended(shard: Json) -> list[Json]:
    return [
        {
            "width": shard["width"],
            "learning_rate": rate,
            "seed": seed,
            "role": shard["role"],
            "gamma": gamma,
            "horizon": horizon,
            "status": "diverged" if loss is None else "completed",
            "loss": loss,
        }
        for rate in shard["learning_rates"]
        for seed in shard["seeds"]
        for gamma in shard["gammas"] or [1.0]
        for horizon in shard["horizons"] or [None]
        for loss in [asks.loss_of(shard["width"], rate, seed, gamma, horizon)]
    ]


def stored(client: Client) -> Json:
    """What a service says of a database that it was given."""
    answers: Json = {}
    listed = client.get("/v1/calibrations?limit=500").json()["items"]
    for calibration in listed:
        address = f"/v1/calibrations/{calibration['id']}"
        for part in ("", "/shards", "/trials", "/measurements"):
            answers[f"{calibration['id']}{part}"] = _noted(client.get(f"{address}{part}"))
    answers["exponents"] = _noted(client.get("/v1/exponents?limit=500"))
    answers["workers"] = _noted(client.get("/v1/workers"))
    return answers
