"""The pages for a browser, all served from here: the dashboard, the API reference and the problem types."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.dashboard.page import dashboard_page
from service.dashboard.reference import problem_page, reference_page
from service.errors import ALL_ERRORS, NoSuchResourceError

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css", ".svg": "image/svg+xml", ".js": "text/javascript"}
#: Every asset by its name: served are the files that were there at the start, and nothing that a path could reach.
_ASSETS = {path.name: path for path in (_FOLDER / "assets").iterdir() if path.suffix in _TYPES}
#: No inline script or style, nothing from another origin, no framing. blob: is for a plot fetched with a key.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@cache
def _asset(name: str) -> bytes:
    return _ASSETS[name].read_bytes()


@cache
def _dashboard() -> str:
    return dashboard_page((_FOLDER / "index.html").read_text(encoding="utf-8"))


def _page(content: str | bytes) -> Response:
    return Response(content, headers=_HEADERS, media_type="text/html")


@router.get("/")
async def get_dashboard() -> Response:
    """Return the dashboard."""
    return _page(_dashboard())


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Return the API reference, written from the OpenAPI document."""
    return _page(reference_page(request.app.openapi()))


@router.get("/assets/{name}")
async def get_asset(name: str) -> Response:
    """Return a style sheet, script or image of the pages."""
    if name not in _ASSETS:
        raise NoSuchResourceError("There is no such asset.")
    return Response(_asset(name), headers=_HEADERS, media_type=_TYPES[_ASSETS[name].suffix])


@router.get("/problems/{slug}")
async def get_problem(slug: str) -> Response:
    """Explain a problem type: the page that a problem document's `type` links to."""
    for kind in ALL_ERRORS:
        if kind.slug == slug:
            return _page(problem_page(kind))
    raise NoSuchResourceError("There is no such problem type; /docs lists them.")
