"""The guide: the documentation's built site, as it stands."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.dashboard.reference import plain_page
from service.guide.site import Guide

router = APIRouter(include_in_schema=False)

#: Scripts, styles, search index and search worker are all files of the site; data: is for the theme's icons.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A figure that is opened by itself has its styles inside; nothing in it may run or load.
_FIGURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


@router.get("/guide")
async def get_guide() -> Response:
    """Lead to the guide: the links of its pages are relative to the address with the slash."""
    return RedirectResponse("/guide/", 308)


@router.get("/guide/{path:path}")
def get_guide_file(request: Request, path: str) -> Response:
    """Return a file of the guide; 304 if the browser has it already."""
    guide: Guide = request.app.state.guide
    found = guide.file(path)
    if found is None:
        return _missing(guide)
    policy = _FIGURE_POLICY if found.media_type == "image/svg+xml" else _POLICY
    headers = {**_HEADERS, "Content-Security-Policy": policy, "ETag": f'"{found.digest}"'}
    known = request.headers.get("If-None-Match", "")
    if any(tag.strip().removeprefix("W/") == headers["ETag"] for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.media_type)


def _missing(guide: Guide) -> Response:
    if guide.is_built():
        page = plain_page("Not in the guide", 404, "The guide has no such page.", "/guide/", "Where the guide begins")
    else:
        page = plain_page("The guide is not built here", 404, guide.advice, "/docs", "The reference of the API")
    return Response(page, 404, headers={**_HEADERS, "Content-Security-Policy": _POLICY}, media_type="text/html")
