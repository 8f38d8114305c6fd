"""The HTTP reference: one page of operations, fields and errors, from the service's own OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.app import create_app
from service.settings import load_settings

_Json = Mapping[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    """Return the page in Markdown."""
    return written(create_app(load_settings(database_url="sqlite:///unused.db")).openapi())


def written(document: _Json) -> str:
    """Return an OpenAPI document as a page: operations by tag, then every schema, then the errors."""
    lines = [
        "# HTTP",
        "",
        f"Every operation of version {document['info']['version']}, from the service's OpenAPI document. A running",
        "service has it at `/openapi.json`; `/docs` sends requests too. Errors are problem documents (RFC 9457).",
        "",
    ]
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        for path, operations in document["paths"].items():
            for method in _METHODS:
                operation = operations.get(method)
                if operation is not None and operation["tags"][0] == tag["name"]:
                    lines += _operation(method, path, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _operation(method: str, path: str, operation: _Json) -> Iterator[str]:
    yield from (f"### {operation['summary']}", "", f"`{method.upper()} {path}`", "")
    yield from (operation.get("description", ""), "")
    if operation.get("parameters"):
        yield from ("| parameter | in | type | |", "|---|---|---|---|")
        for each in operation["parameters"]:
            required = "**required**. " if each.get("required") else ""
            said = required + _cell(each.get("description", ""))
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {said} |"
        yield ""
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body: {_type(body['schema'])}, as `{kind}`.", "")
    yield from ("| status | answer | body |", "|---|---|---|")
    for status, answer in operation["responses"].items():
        contents = answer.get("content", {})
        kinds = ", ".join(f"{_type(body.get('schema', {}))} (`{kind}`)" for kind, body in contents.items())
        yield f"| {status} | {_cell(answer['description'])} | {kinds or '–'} |"
    yield ""


def _schema(name: str, schema: _Json) -> Iterator[str]:
    yield from (f"### {name}", "", *_description(schema))
    if "enum" in schema:
        yield from ("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".", "")
    properties = schema.get("properties", {})
    if not properties:
        if "enum" not in schema:
            yield from (_type(schema) + ".", "")
        return
    required = set(schema.get("required", ()))
    yield from ("| field | type | |", "|---|---|---|")
    for field, each in properties.items():
        said = "**required**. " if field in required else ""
        said += _cell(each.get("description", ""))
        default = each.get("default")
        said += f" Default: `{default}`." if default is not None else ""
        yield f"| `{field}` | {_type(each)} | {said} |"
    yield ""


def _description(schema: _Json) -> Iterator[str]:
    if schema.get("description"):
        yield from (schema["description"], "")


def _type(schema: _Json) -> str:
    """Return a schema's type in words, with links to the schemas that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    unions = [each for union in ("anyOf", "oneOf", "allOf") for each in schema.get(union, ())]
    if unions:
        return " or ".join(dict.fromkeys(_type(each) for each in unions))
    values = schema.get("enum", [schema["const"]] if "const" in schema else ())
    if values:
        return " or ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "any")
    inside = {"array": schema.get("items", {}), "object": schema.get("additionalProperties")}.get(kind)
    if isinstance(inside, dict):
        return f"{'list' if kind == 'array' else 'object'} of {_type(inside)}"
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: _Json) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {schema[name]:g}" for name, sign in signs.items() if isinstance(schema.get(name), int | float)]
    return f" {', '.join(said)}" if said else ""


def _cell(text: str) -> str:
    """Return text for a cell of a table: one line, with bars escaped."""
    return " ".join(text.split()).replace("|", r"\|")
