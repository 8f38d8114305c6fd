"""The pages for a browser, all served from here: those that ask the API, its reference and the problem types."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from service.dashboard.assets import ASSETS, TYPES, asset
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
    "Cache-Control": "no-cache",
}


def _page(content: str) -> Response:
    return Response(content, headers=_HEADERS, media_type="text/html")


def _get_view(name: str) -> Callable[[], Awaitable[Response]]:
    async def get_view() -> Response:
        return _page(view_page(name))

    return get_view


for _name, _view in VIEWS.items():
    router.add_api_route(_view.path, _get_view(_name), name=_name)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Return the API reference, written from the OpenAPI document."""
    return _page(reference_page(request.app.openapi()))


@router.get("/assets/{name:path}")
async def get_asset(name: str) -> Response:
    """Return a style sheet, script or image of the pages."""
    if name not in ASSETS:
        raise NoSuchResourceError("There is no such asset.")
    return Response(asset(name), headers=_HEADERS, media_type=TYPES[ASSETS[name].suffix])


@router.get("/problems/{slug}")
async def get_problem(slug: str) -> Response:
    """Explain a problem type: the page that a problem document's `type` links to."""
    for kind in ALL_ERRORS:
        if kind.slug == slug:
            return _page(problem_page(kind))
    raise NoSuchResourceError("There is no such problem type; /docs lists them.")
