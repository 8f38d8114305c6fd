"""Formulas: LaTeX becomes MathML at the build, which browsers set by themselves, without a script or a network."""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """Return a page's HTML with each formula as MathML."""
    return _FORMULA.sub(lambda found: _mathml(found[2]), content)


def _mathml(written: str) -> str:
    text = html.unescape(written).strip()
    if not text.startswith(r"\["):
        return str(convert(text[2:-2].strip(), display="inline"))
    formula = convert(text[2:-2].strip(), display="block")
    return f'<div class="formula" tabindex="0">{formula}</div>'  # it scrolls by itself where it is wider than the page
