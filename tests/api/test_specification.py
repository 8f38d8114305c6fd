"""The specification of a calibration: what is left out, null, and the default that the document names are one."""

import ast
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from service.app import create_app
from service.calibrations import specification
from service.calibrations.specification import SpecificationBody
from service.settings import Settings
from service.store import Store
from service.store.database.validation import checked_spec
from tests.api.client import Client, client_of, problem
from tests.api.samples import spec
from tests.recorded import asks


def members(schemas: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every member of every schema that has a default."""
    return [
        (name, member, schema)
        for name, described in schemas.items()
        for member, schema in described.get("properties", {}).items()
        if "default" in schema
    ]


def test_every_default_of_the_document_is_one_that_it_allows(app: FastAPI) -> None:
    components = app.openapi()["components"]
    found = members(components["schemas"])
    assert len(found) > 40  # fewer: the search lost the requests
    wrong = [
        (name, member)
        for name, member, schema in found
        if not Draft202012Validator({**schema, "components": components}).is_valid(schema["default"])
    ]
    assert wrong == []


@pytest.mark.parametrize("measure", [["learning_rate"], ["learning_rate", "horizon"]])
def test_a_client_that_fills_in_the_defaults_asks_for_the_same(
    client: Client, app: FastAPI, measure: list[str]
) -> None:
    described = app.openapi()["components"]["schemas"]
    defaults = {member: schema["default"] for name, member, schema in members(described) if name == "CalibrationSpec"}
    asked = {**spec(measure=measure), "learning_rates": None}
    filled = client.post("/v1/calibrations", json=defaults | asked)
    del asked["learning_rates"]
    plain = client.post("/v1/calibrations", json=asked)
    assert (filled.status_code, plain.status_code) == (202, 202), filled.text
    assert filled.json()["spec"] == plain.json()["spec"]
    assert len(filled.json()["spec"]["learning_rates"]) > 3
    assert bool(filled.json()["spec"]["horizons"]) is ("horizon" in measure)


@pytest.mark.parametrize("member", ["learning_rates", "horizons"])
def test_an_empty_list_is_not_one_that_was_left_out(client: Client, member: str) -> None:
    refused = client.post("/v1/calibrations", json=spec(**{member: []}))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"#/{member}"


@pytest.mark.parametrize(("name", "body"), list(asks.specifications()))
def test_what_is_stored_is_what_the_request_says_with_its_defaults(name: str, body: dict[str, Any]) -> None:
    """To the last byte: idempotency and provenance know a specification by its digest."""
    del name
    read = SpecificationBody.model_validate_json(json.dumps(body))
    stored = read.to_spec().to_dict()
    filled = {member: stored[member] for member in ("learning_rates", "horizons") if getattr(read, member) is None}
    said = read.model_dump(mode="json")
    for member in ("target_width", "precision", "budget"):  # of one search; specifications of before lack them
        assert said.pop(member) is None
    assert checked_spec(stored) == checked_spec(said | filled)


def spelled(source: str) -> list[str]:
    """The fields whose default is written out as a word or a number, not taken from the library."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.AnnAssign) or node.value is None:
            continue
        value: ast.expr | None = node.value
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Field":
            named = {keyword.arg: keyword.value for keyword in value.keywords}
            value = value.args[0] if value.args else named.get("default")
        if value is not None and not _taken(value):
            found.append(ast.unparse(node.target))
    return found


def _taken(value: ast.expr) -> bool:
    """Whether a default comes from DEFAULTS or a proxy's, is a body of such defaults, or is None."""
    constants = {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return constants <= {None} and names <= {
        *("DEFAULTS", "MLP", "TRANSFORMER", "_DEFAULT_PROXY", "Atan2"),
        *("AlignmentName", "list", "str"),
    }


def test_the_body_spells_no_default() -> None:
    """Each is the library's: `CalibrationSpec` alone says what is meant by a field that is left out."""
    assert spelled(Path(str(specification.__file__)).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted", ["a: int = 2", "a: int = Field(2)", "a: X = Field(default=X.Y)", "a: list[X] = [X.Y]", "a: bool = True"]
)
def test_a_default_that_is_spelled_is_seen(planted: str) -> None:
    assert spelled(planted) == ["a"]


def test_a_file_that_the_services_own_workers_lack_is_refused(settings: Settings, store: Store, tmp_path: Path) -> None:
    """Workers elsewhere may have other folders; and an external runner's texts are its own."""
    (tmp_path / "notes.txt").write_text("a text")
    (tmp_path / "link.txt").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "folder").mkdir()

    def submitted(name: str, *, workers: int, runner: str = "worker") -> httpx.Response:
        app = create_app(settings.model_copy(update={"corpora_dir": tmp_path, "workers": workers}), store)
        with client_of(app) as client:
            proxy = {"architecture": "mlp", "dataset": f"file:{name}"}
            return client.post("/v1/calibrations", json=spec(proxy=proxy, runner=runner))

    assert submitted("notes.txt", workers=1).status_code == 202
    for missing in ("none.txt", "link.txt", "folder"):
        found = problem(submitted(missing, workers=1), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == "#/proxy/dataset"
        assert "notes.txt" not in json.dumps(found)  # nobody learns what else is there
        assert submitted(missing, workers=0).status_code == 202
