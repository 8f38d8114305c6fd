"""The pages for a browser, all served from here: those that ask the API, its reference and the problem types."""

import gzip
from collections.abc import Awaitable, Callable
from functools import lru_cache

from fastapi import APIRouter, Request, Response

from service.dashboard.assets import ASSETS, TYPES, found
from service.dashboard.reference import problem_page, reference_page
from service.dashboard.views import VIEWS, view_page
from service.errors import ALL_ERRORS, NoSuchResourceError

router = APIRouter(include_in_schema=False)

#: No inline script or style, nothing from another origin, no framing. blob: is for a plot fetched with a key.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
_KEPT = "public, max-age=31536000, immutable"  # a year, which is for good: the address changes with the content


@lru_cache(maxsize=256)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _answer(request: Request, content: bytes, media_type: str, *, kept: bool = False) -> Response:
    """Answer with a page or an asset, packed for a client that takes it so: there is no secret in it."""
    headers = {**_HEADERS, "Cache-Control": _KEPT if kept else "no-cache"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = _packed(content)
    return Response(content, headers=headers, media_type=media_type)


def _page(request: Request, content: str) -> Response:
    return _answer(request, content.encode(), "text/html")


def _get_view(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def get_view(request: Request) -> Response:
        return _page(request, view_page(name))

    return get_view


for _name, _view in VIEWS.items():
    router.add_api_route(_view.path, _get_view(_name), name=_name)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Return the API reference, written from the OpenAPI document."""
    return _page(request, reference_page(request.app.openapi()))


@router.get("/assets/{name:path}")
async def get_asset(name: str, request: Request) -> Response:
    """Return a style sheet, script or image of the pages."""
    asset = found(name)
    if asset is None:
        raise NoSuchResourceError("There is no such asset.")
    name, content, kept = asset
    return _answer(request, content, TYPES[ASSETS[name].suffix], kept=kept)


@router.get("/problems/{slug}")
async def get_problem(slug: str, request: Request) -> Response:
    """Explain a problem type: the page that a problem document's `type` links to."""
    for kind in ALL_ERRORS:
        if kind.slug == slug:
            return _page(request, problem_page(kind))
    raise NoSuchResourceError("There is no such problem type; /docs lists them.")
