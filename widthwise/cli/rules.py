"""`widthwise rules`: the rules beyond width that a transfer can name."""

from textwrap import fill
from typing import Annotated

import typer
from rich.markup import escape

from widthwise.cli import console, options
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.vocabulary import known_word


def rules(
    *,
    about: Annotated[str | None, typer.Argument(help="Only rules about this.", metavar="ABOUT")] = None,
    as_json: Annotated[bool, options.as_json("Print the rules as JSON.")] = False,
) -> None:
    """List the rules for experts, rank, depth, batch, tokens and weight decay, with their sources and where they hold.

    \b
    Examples:
      widthwise rules
      widthwise rules depth
      widthwise rules weight_decay --json
    """
    shown = list(About) if about is None else [known_word(About, about, "ABOUT")]
    if as_json:
        console.print_json(
            [
                {
                    "about": each.value,
                    "rule": word,
                    "formula": rule.formula,
                    "source": rule.source,
                    "holds": rule.holds,
                }
                for each in shown
                for word, rule in BY_WORD[each].items()
            ]
        )
        return
    out = console.stdout()
    for each in shown:
        out.print(f"{each.value}: {each.meaning}", style="bold")
        for word, rule in BY_WORD[each].items():
            for label, text in ((word, rule.formula), ("", rule.source), ("", f"holds: {rule.holds}")):
                out.print(escape(fill(text, out.width, initial_indent=f"  {label:18}", subsequent_indent=" " * 20)))
