"""Reads the body of a reply: JSON of a known type, a page of a listing, text, a file, or nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from widthwise.client.answer import Answer, UnexpectedAnswerError
from widthwise.client.catalogue import DrawnFigure
from widthwise.client.steps import Item, Listing, Reply, Request
from widthwise.errors import InvalidInputError
from widthwise.transfers.plan import Plan

PAGE_SIZE = 500  # the service's largest page
FIGURES = frozenset({"image/svg+xml", "application/pdf", "image/png", "text/csv"})

A = TypeVar("A", bound=Answer)


def json_of(reply: Reply) -> Mapping[str, Any]:
    """Return the JSON object of a reply. Raises UnexpectedAnswerError for anything else."""
    try:
        value = json.loads(reply.content)
    except ValueError:
        raise UnexpectedAnswerError(": not JSON") from None
    if not isinstance(value, dict):
        raise UnexpectedAnswerError(f": {type(value).__name__} instead of an object")
    return value


def one(kind: type[A]) -> Callable[[Reply], A]:
    """Return what reads one answer."""
    return lambda reply: kind.read(json_of(reply))


def many(kind: type[A]) -> Callable[[Reply], list[A]]:
    """Return what reads every item of a listing without pages."""

    def read(reply: Reply) -> list[A]:
        items = json_of(reply).get("items")
        if not isinstance(items, list):
            raise UnexpectedAnswerError(".items: missing")
        return [kind.read(item) for item in items]

    return read


def plan(reply: Reply) -> Plan:
    """Read a plan."""
    try:
        return Plan.from_dict(json_of(reply))
    except InvalidInputError as error:
        raise UnexpectedAnswerError(f": {error}") from None


def text(reply: Reply) -> str:
    """Read text."""
    return reply.content.decode("utf-8", "replace")


def figure(reply: Reply) -> DrawnFigure:
    """Read a figure in any of its formats."""
    media_type = reply.headers.get("content-type", "").partition(";")[0]
    if media_type not in FIGURES:
        raise UnexpectedAnswerError(": not a figure")
    return DrawnFigure(media_type, reply.content)


def nothing(reply: Reply) -> None:
    """Read nothing."""


def pages(path: str, query: Mapping[str, str | None], kind: type[A]) -> Listing[A]:
    """List every item, page by page; a filter that is None is left out."""
    given = {name: value for name, value in query.items() if value is not None}
    cursor: str | None = None
    read = _page(kind)
    while True:
        asked = {**given, "limit": str(PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
        items, cursor = yield from Request("GET", path, read, query=asked)
        for item in items:
            yield Item(item)
        if cursor is None:
            return


def _page(kind: type[A]) -> Callable[[Reply], tuple[list[A], str | None]]:
    def read(reply: Reply) -> tuple[list[A], str | None]:
        found = json_of(reply)
        if "next_cursor" not in found:
            raise UnexpectedAnswerError(".next_cursor: missing")
        return many(kind)(reply), found["next_cursor"]

    return read
