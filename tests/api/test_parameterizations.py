"""GET /v1/parameterizations: the published table, variants, and caching."""

from typing import Any

import pytest

from service.parameterizations.schemas import Parameterizations
from tests.api.client import Client
from widthwise.vocabulary import Optimizer

Key = tuple[str, str, str]


def table(client: Client, **parameters: str) -> dict[Key, dict[str, Any]]:
    response = client.get("/v1/parameterizations", params=parameters)
    assert response.status_code == 200
    assert Parameterizations.model_validate_json(response.content)
    return {(item["parameterization"], item["optimizer"], item["alignment"]): item for item in response.json()["items"]}


def c(item: dict[str, Any]) -> tuple[float, ...]:
    return tuple(item["exponents"][role]["c"] for role in ("embedding", "hidden", "readout"))


def test_every_combination_once(client: Client) -> None:
    found = table(client)
    assert len(found) == 4 * len(Optimizer) * 2 == len(client.get("/v1/parameterizations").json()["items"])
    assert {item["form"] for item in found.values()} == {"table_9"}
    assert {item["readout_omega"] for item in found.values()} == {0.5}
    # Everett et al. 2024, Table 1
    assert c(found["standard", "adam", "full"]) == (0, 1, 1)
    assert c(found["mup", "adam", "full"]) == (0.5, 1, 0.5)
    assert c(found["mean_field", "sgd", "none"]) == (-1, -1.5, -1)
    assert found["mup", "adam", "full"]["exponents"]["hidden"] == {"a": 0.0, "b": 0.5, "c": 1.0, "g": 1.0}


def test_variants(client: Client) -> None:
    assert c(table(client, readout_omega="1")["standard", "adam", "full"]) == (0.5, 1.5, 1)
    eighth = table(client, form="table_8")
    assert eighth["mup", "adam", "full"]["exponents"]["readout"]["a"] == 1.0
    assert eighth["mup", "adam", "full"]["form"] == "table_8"
    assert eighth["ntk", "adam", "full"]["form"] == "table_9"


@pytest.mark.parametrize("sent", ["{}", "W/{}", '"other", {}', "*"])
def test_a_known_etag_is_304(client: Client, sent: str) -> None:
    first = client.get("/v1/parameterizations")
    assert "max-age" in first.headers["cache-control"]
    response = client.get("/v1/parameterizations", headers={"If-None-Match": sent.format(first.headers["etag"])})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == first.headers["etag"]


def test_another_etag_is_200(client: Client) -> None:
    other = client.get("/v1/parameterizations", params={"form": "table_3"}).headers["etag"]
    assert client.get("/v1/parameterizations", headers={"If-None-Match": other}).status_code == 200
