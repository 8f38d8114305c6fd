"""The API reference as one HTML page, rendered from the OpenAPI document: no script, no network."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import Any

from service.dashboard.assets import with_release
from service.dashboard.bar import bar
from service.errors import ALL_ERRORS, ApiError

_METHODS = ("get", "post", "put", "patch", "delete")
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css"></head><body>
{bar}
"""
_Schema = Mapping[str, Any]


def reference_page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document; it is rendered once per document."""
    return _written(json.dumps(document))


@lru_cache(maxsize=2)
def _written(text: str) -> str:
    document = json.loads(text)
    return "".join(
        (
            with_release(_HEAD).format(title="Widthwise API", bar=bar("/docs")),
            '<div class="reference"><aside>',
            *_contents(document),
            "</aside><main><h1>API reference <small>",
            escape(document["info"]["version"]),
            "</small></h1><p>",
            _prose(document["info"].get("description", "")),
            "</p><p>As a document for tools: <a href='/openapi.json'>openapi.json</a>.</p>",
            *_operations(document),
            "<h2 id='problems'>Problems</h2><p>Every error is an <code>application/problem+json</code> document "
            "(RFC 9457); its <code>type</code> is one of these.</p><table><tr><th>Status</th><th>Type</th>"
            "<th>Meaning</th></tr>",
            *(
                f'<tr><td>{kind.status}</td><td><a href="/problems/{kind.slug}">/problems/{kind.slug}</a></td>'
                f"<td>{escape(kind.title)}</td></tr>"
                for kind in ALL_ERRORS
            ),
            "</table><h2 id='schemas'>Schemas</h2>",
            *_schemas(document),
            "</main></div></body></html>",
        )
    )


def problem_page(kind: type[ApiError]) -> str:
    """Return the page that a problem's type links to."""
    return plain_page(kind.title, kind.status, kind.explanation, "/docs#problems", "All problem types")


def plain_page(title: str, status: int, text: str, address: str, link: str) -> str:
    """Return a page of a few words. address, link: where its one link leads, and what it says."""
    return (
        with_release(_HEAD).format(title=escape(title), bar=bar())
        + f'<main class="single"><h1>{escape(title)} <small>{status}</small></h1>'
        f"<p>{_prose(text)}</p><p><a href='{address}'>{escape(link)}</a></p>"
        "</main></body></html>"
    )


def _by_tag(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[tuple[str, str, Any]]]]:
    for tag in document.get("tags", ()):
        found = [
            (path, method, operations[method])
            for path, operations in document["paths"].items()
            for method in _METHODS
            if method in operations and tag["name"] in operations[method].get("tags", ())
        ]
        if found:
            yield tag, found


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    for tag, found in _by_tag(document):
        yield f"<h3>{escape(tag['name'])}</h3><ul>"
        for path, method, operation in found:
            yield (
                f'<li><a href="#{escape(operation["operationId"])}"><b class="{method}">{method.upper()}</b> '
                f"{_breakable(path)}</a></li>"
            )
        yield "</ul>"
    yield '<h3><a href="#problems">problems</a></h3><h3><a href="#schemas">schemas</a></h3>'


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for tag, found in _by_tag(document):
        yield f"<h2>{escape(tag['name'])}</h2><p>{_prose(tag.get('description', ''))}</p>"
        for path, method, operation in found:
            yield f'<section class="operation" id="{escape(operation["operationId"])}">'
            yield f'<h3><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code></h3>'
            yield f"<p><strong>{escape(operation.get('summary', ''))}.</strong> "
            yield _prose(operation.get("description", "")) + "</p>"
            yield from _parameters(operation)
            yield from _body(path, method, operation)
            yield from _responses(operation)
            yield "</section>"


def _parameters(operation: _Schema) -> Iterator[str]:
    parameters = operation.get("parameters")
    if not parameters:
        return
    yield "<h4>Parameters</h4><table><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr>"
    for parameter in parameters:
        schema = parameter.get("schema", {})
        text = parameter.get("description") or schema.get("description", "")
        required = ' <span class="required">required</span>' if parameter.get("required") else ""
        yield (
            f"<tr><td><code>{escape(parameter['name'])}</code>{required}</td><td>{escape(parameter['in'])}</td>"
            f"<td>{_type(schema)}</td><td>{_prose(text)}{_default(schema)}</td></tr>"
        )
    yield "</table>"


def _body(path: str, method: str, operation: _Schema) -> Iterator[str]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h4>Body</h4><p><code>{escape(media_type)}</code>: {_type(content['schema'])}</p>"
        for name, example in content.get("examples", {}).items():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            command = (
                f"curl -sS -X {method.upper()} http://127.0.0.1:8000{path} -H 'Content-Type: application/json' "
                f"-d '{json.dumps(example['value'], ensure_ascii=False)}'"
            )
            opened = " open" if name == next(iter(content["examples"])) else ""
            yield (
                f"<details{opened}><summary>{escape(example.get('summary', name))}</summary>"
                f"<pre>{escape(text)}</pre><pre>{escape(command)}</pre></details>"
            )


def _responses(operation: _Schema) -> Iterator[str]:
    yield "<h4>Answers</h4><table><tr><th>Status</th><th>Body</th><th>When</th></tr>"
    for status, response in operation["responses"].items():
        bodies = [
            f"{escape(media_type)} {_type(content['schema']) if content.get('schema') else ''}"
            for media_type, content in response.get("content", {}).items()
        ]
        headers = "".join(f"<br><code>{escape(name)}</code>" for name in response.get("headers", ()))
        yield (
            f"<tr><td>{escape(status)}</td><td>{'<br>'.join(bodies)}{headers}</td>"
            f"<td>{_prose(response.get('description', ''))}</td></tr>"
        )
    yield "</table>"


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield f'<section class="schema" id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        yield f"<p>{_prose(schema.get('description', ''))}</p>"
        if "enum" in schema:
            yield f"<p>{_type(schema)}</p>"
        if schema.get("properties"):
            yield "<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>"
            required = schema.get("required", ())
            for field, inner in schema["properties"].items():
                mark = ' <span class="required">required</span>' if field in required else ""
                yield (
                    f"<tr><td><code>{escape(field)}</code>{mark}</td><td>{_type(inner)}</td>"
                    f"<td>{_prose(inner.get('description', ''))}{_default(inner)}</td></tr>"
                )
            yield "</table>"
        yield "</section>"


def _type(schema: _Schema) -> str:  # noqa: PLR0911  one line for each form of schema
    """Return a schema in a few words, with links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_type(inner) for inner in schema[key])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        inner = _type(schema["items"]) if "items" in schema else "anything"
        return f"list of {inner}{_bounds(schema)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        keys = _type(schema["propertyNames"]) if "propertyNames" in schema else "name"
        return f"object by {keys} of {_type(schema['additionalProperties'])}"
    return f"{escape(str(kind or 'anything'))}{_bounds(schema)}"


def _bounds(schema: _Schema) -> str:
    words = {
        "exclusiveMinimum": "> {}",
        "minimum": "≥ {}",
        "exclusiveMaximum": "&lt; {}",
        "maximum": "≤ {}",
        "minItems": "{} or more",
        "maxItems": "at most {}",
        "minLength": "{} or more characters",
        "maxLength": "at most {} characters",
        "pattern": "<code>{}</code>",
    }
    found = [text.format(escape(str(schema[key]))) for key, text in words.items() if key in schema]
    return f' <span class="bounds">{", ".join(found)}</span>' if found else ""


def _default(schema: _Schema) -> str:
    if schema.get("default") is None:
        return ""
    return f' <span class="bounds">default <code>{escape(json.dumps(schema["default"]))}</code></span>'


def _prose(text: str) -> str:
    """Escape a description and mark up its `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n\n", "</p><p>")


def _breakable(path: str) -> str:
    return escape(path).replace("/", "/<wbr>")
