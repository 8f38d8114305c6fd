"""Printing: a figure's drawing as PDF or PNG, by the renderer of the extra `figures`."""

from types import ModuleType

from widthwise.errors import InvalidInputError

MISSING = "PDF and PNG need a renderer: pip install 'widthwise[figures]' (SVG and CSV need none)"


def pdf(drawing: str) -> bytes:
    """Return a drawing as one page of PDF with its fonts. Raises `InvalidInputError` without the extra."""
    printed: bytes = _renderer().svg_to_pdf(drawing)
    return printed


def png(drawing: str, scale: float) -> bytes:
    """Return a drawing as PNG, `scale` pixels for each of the drawing's. Raises `InvalidInputError` likewise."""
    printed: bytes = _renderer().svg_to_png(drawing, scale=scale)
    return printed


def _renderer() -> ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise InvalidInputError(MISSING) from None
    module: ModuleType = vl_convert
    return module
