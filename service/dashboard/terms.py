"""Words of the field, which the pages link to their entries in the guide's glossary."""

from html import escape

GLOSSARY = "/guide/docs/glossary.html"  # assets/shared/terms.js has it too


def term_link(word: str) -> str:
    """Return the small "?" next to a word, which leads to its entry. word: in small letters, with hyphens."""
    said = escape(word.replace("-", " "))
    address = f'href="{GLOSSARY}#{escape(word)}" target="guide" rel="help"'
    return f'<a class="term" {address} aria-label="What is {said}?">?</a>'
