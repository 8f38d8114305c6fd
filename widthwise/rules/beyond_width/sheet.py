"""The named rules as a sheet: what each does, where it comes from and holds, and which exclude each other."""

from collections.abc import Iterator

from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.registry import BY_WORD, NAMED_RULES


def sheet() -> str:
    """Return the sheet in Markdown, as docs/rules.md has it."""
    return "\n".join(_lines())


def excluded() -> list[tuple[type[NamedRule], type[NamedRule]]]:
    """Return the pairs of rules about different things that settle the same, so that a request may name only one."""
    return [
        (one, other)
        for one in NAMED_RULES
        for other in NAMED_RULES
        if other.about in one.also_sets and one.about is not other.about
    ]


def _lines() -> Iterator[str]:
    for about in About:
        yield f"### `{about.value}`: {about.meaning}"
        yield ""
        yield "| rule | what it does | source | where it holds |"
        yield "|---|---|---|---|"
        for word, rule in BY_WORD[about].items():
            yield f"| `{word}` | {rule.formula} | {rule.source} | {rule.holds} |"
        yield ""
        pages = {rule.page: None for rule in BY_WORD[about].values() if rule.page}
        for page in pages:
            words = ", ".join(f"`{word}`" for word, rule in BY_WORD[about].items() if rule.page == page)
            yield f"Measured at proxy size: {words} in [results/{page}.md](results/{page}.md)."
            yield ""
        for word, rule in BY_WORD[about].items():
            if rule.disagrees:
                yield f"Other sources on `{word}`: {rule.disagrees}."
                yield ""
    yield "Two rules about one thing exclude each other. So do these, since the first settles what the second is about:"
    yield ""
    for first in dict.fromkeys(one for one, _ in excluded()):
        seconds = ", ".join(f"`{other.word}`" for one, other in excluded() if one is first)
        yield f"* `{first.word}` and each of {seconds}"
