"""The bar at the head of every page."""

#: Every page of the bar by its address.
PAGES = {
    "/": "Transfer",
    "/calibrations": "Calibrations",
    "/sweeps": "Sweeps",
    "/exponents": "Exponents",
    "/workers": "Workers",
    "/guide/": "Guide",
    "/docs": "API",
}
_CURRENT = ' aria-current="page"'


def bar(current: str | None = None) -> str:
    """Return the bar. current: the address in it of the page that is read."""
    links = "".join(
        f'<a href="{address}"{_CURRENT if address == current else ""}>{name}</a>' for address, name in PAGES.items()
    )
    return (
        f'<header class="bar"><a class="brand" href="/">Widthwise</a><nav aria-label="Pages">{links}</nav>'
        '<span class="status" id="status" role="status"></span>'
        '<button id="forget-key" type="button" class="plain" hidden>Forget the API key</button></header>'
    )
