"""The OpenAPI document: what FastAPI derives, plus request bodies read by hand and problem documents."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, compile_path

from service.auth.caller import Scope
from service.http.dependencies import NEEDED
from service.http.problems import PROBLEM_TYPE

_REF = "#/components/schemas/"
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


class Fault(BaseModel):
    """One fault of a request."""

    pointer: str | None = Field(None, description="JSON pointer of the offending member of the body (RFC 6901).")
    field: str | None = Field(None, description="Name of the offending parameter, header or input.")
    message: str = Field(description="What is wrong and what to give instead.")
    value: Any = Field(None, description="The value that was refused, if it is small.")
    asked: float | None = Field(None, description="Over a limit: how much was asked for.")
    limit: float | None = Field(None, description="Over a limit: how much is allowed.")
    in_use: float | None = Field(None, description="Over a limit of an owner: how much is in use already.")


class TensorProblem(BaseModel):
    """A tensor that can't be placed, or several whose names differ only in numbers."""

    name: str = Field(description="Name of the tensor; of several, with `*` for each number that differs.")
    count: int = Field(default=1, description="How many there are.")
    problem: str = Field(description="What is not known of it, and what would settle it.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Path of a page that explains this kind of problem.")
    title: str = Field(description="The kind of problem, the same for every occurrence.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What was wrong this time, and what to do.")
    instance: str = Field(description="The path that was asked.")
    errors: list[Fault] = Field(default=[], description="Each fault, at most 100.")
    tensors: list[TensorProblem] = Field(
        default=[], description="Tensors that can't be placed, like ones together, at most 100 kinds."
    )


_WHEN: Mapping[int, str] = {
    400: "The body is not JSON.",
    401: "The request carries no API key, or none that is good.",
    403: "The key's scope does not allow this.",
    404: "There is no such resource.",
    405: "The path does not have this method; the Allow header lists those it has.",
    409: "The state of the resource does not allow this.",
    413: "The body is over the cap.",
    415: "The body is not declared as application/json.",
    422: "Some of the request is outside the contract; `errors` lists each fault.",
    429: "Too many requests, heavy ones or event streams of this key, wrong keys from this address, or a full quota.",
    503: "The database can't answer now.",
}
_HEADERS: Mapping[int, tuple[str, str, str]] = {
    401: ("WWW-Authenticate", "How to authenticate (RFC 6750).", "string"),
    403: ("WWW-Authenticate", "The scope that is needed (RFC 6750).", "string"),
    405: ("Allow", "The methods of this path.", "string"),
    429: ("Retry-After", "Seconds until a request is answered again.", "integer"),
}

SECURITY_SCHEME = "apiKey"
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "ww_<id>_<secret>",
    "description": "An API key, made with `widthwise keys create`. Scopes: read, calibrate (includes read), admin "
    "(includes both, for everyone's calibrations and sweeps).",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for these error statuses, and 405, which any path can answer."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REF + "Problem"}}}
    declared: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 405}):
        declared[status] = {"description": _WHEN[status], "content": content}
        if status in _HEADERS:
            name, description, kind = _HEADERS[status]
            declared[status]["headers"] = {
                name: {"description": description, "schema": {"type": kind}, "required": True}
            }
    return declared


def json_body(model: type[BaseModel], examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads `model` with `service.http.request_bodies.read_json`.

    The first example is the contract's own; `examples` maps a key to {"summary", "value"}.
    """
    schema = {"$ref": _REF + model.__name__}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": dict(examples)}},
        }
    }


def install(
    app: FastAPI, bodies: Sequence[type[BaseModel]], tags: Sequence[Mapping[str, str]], *, asks_for_keys: bool = False
) -> None:
    """Replace `app.openapi`, and return the app `state.allowed_methods`, the Allow header by path.

    asks_for_keys: say of every operation which scope it needs, and how it refuses.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app, bodies, tags)
            if asks_for_keys:
                _secure(app.openapi_schema, app.routes)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    app.state.allowed_methods = _allowed_methods(openapi)


def _build(app: FastAPI, bodies: Sequence[type[BaseModel]], tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=[dict(tag) for tag in tags],
        license_info=app.license_info,
        separate_input_output_schemas=False,  # a specification is shown as it was sent, with the same model
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, definitions = models_json_schema([(model, "validation") for model in bodies], ref_template=_REF + "{model}")
    _, problem = models_json_schema([(Problem, "validation")], ref_template=_REF + "{model}")
    _merge(schemas, definitions.get("$defs", {}))
    _merge(schemas, problem.get("$defs", {}))
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in _METHODS:
                _tidy(operation, schemas)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    _close_names(document)
    return document


def _close_names(part: Any) -> None:
    """Say of every object whose names follow a pattern that it has no others: Pydantic states the pattern alone."""
    if isinstance(part, dict):
        if "patternProperties" in part:
            part.setdefault("additionalProperties", False)
        for each in part.values():
            _close_names(each)
    elif isinstance(part, list):
        for each in part:
            _close_names(each)


def _secure(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Declare the bearer scheme, and of every operation the scope it needs and how it refuses others."""
    document["components"]["securitySchemes"] = {SECURITY_SCHEME: _SCHEME}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        needed = needed_scope(route)
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["security"] = [] if needed is None else [{SECURITY_SCHEME: [needed.value]}]
            if needed is not None:
                refusals = {str(status): response for status, response in error_responses(401, 403, 429, 503).items()}
                operation["responses"] = dict(sorted({**refusals, **operation["responses"]}.items()))


def needed_scope(route: APIRoute) -> Scope | None:
    """Return the widest scope that a route's dependencies ask for; None: it is open."""
    found: list[Scope | None] = []
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        found.append(NEEDED.get(dependant.call) if dependant.call is not None else None)
        waiting += dependant.dependencies
    scopes = [scope for scope in Scope if scope in found]
    return scopes[-1] if scopes else None


def _merge(schemas: dict[str, Any], added: Mapping[str, Any]) -> None:
    """Add definitions; a name stands for one schema."""
    for name, schema in added.items():
        if schemas.setdefault(name, schema) != schema:
            raise RuntimeError(f"two different models are called {name!r} in the OpenAPI document; rename one")


def _tidy(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Mend what FastAPI's defaults say.

    A 422 where no route declared one goes, and so does the null that no query or header can carry; a success says
    what it gives.
    """
    for status, response in list(operation["responses"].items()):
        if "HTTPValidationError" in json.dumps(response):
            del operation["responses"][status]
        elif response["description"] == "Successful Response":
            content: dict[str, Any] = next(iter(response.get("content", {}).values()), {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            response["description"] = schemas.get(name, {}).get("description", "The answer.")
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
        if len(branches) == 1:
            del schema["anyOf"]
            parameter["schema"] = schema = {**branches[0], **schema}
        if "description" in schema:
            parameter.setdefault("description", schema.pop("description"))


def _allowed_methods(openapi: Callable[[], dict[str, Any]]) -> Callable[[str], str | None]:
    """Return the function from a path to its Allow header, by every route of the document, not the first that fits."""
    compiled: list[tuple[Any, str]] = []

    def allowed(path: str) -> str | None:
        if not compiled:
            for template, operations in openapi()["paths"].items():
                methods = ", ".join(sorted(m.upper() for m in operations if m in _METHODS))
                compiled.append((compile_path(template)[0], methods))
        found = [methods for pattern, methods in compiled if pattern.match(path)]
        return found[0] if found else None

    return allowed
