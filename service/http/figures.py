"""Answers that are figures: SVG to show, PDF and PNG for print, CSV for the numbers."""

from typing import Any

from fastapi import Response

from service.http.openapi import error_responses
from widthwise.figures.figure import MEDIA_TYPES

_BINARY = {suffix: {"contentMediaType": MEDIA_TYPES[suffix], "format": "binary"} for suffix in ("pdf", "png")}
PRINTED = "`pdf` or `png`, for which the service needs vl-convert-python (422 without); `csv`: its numbers."


def figure_responses(description: str, *suffixes: str, errors: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that answers a figure in these formats."""
    content = {
        MEDIA_TYPES[suffix].partition(";")[0]: {"schema": {"type": "string", **_BINARY.get(suffix, {})}}
        for suffix in suffixes
    }
    return {200: {"description": description, "content": content}, **error_responses(*errors)}


def figure_response(content: bytes, suffix: str, name: str) -> Response:
    """Answer an encoded figure; all but SVG is a download under this name."""
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    if suffix != "svg":
        headers["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    return Response(content, headers=headers, media_type=MEDIA_TYPES[suffix])
