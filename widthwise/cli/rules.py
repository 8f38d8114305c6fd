"""`widthwise rules`: the rules beyond width that a transfer can name."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from widthwise.cli import console, options, words
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import known_word


def rules(
    *,
    about: Annotated[str | None, typer.Argument(help="Only rules about this.", metavar="ABOUT")] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Show what each rule would make of this transfer's request (JSON).", metavar="FILE"),
    ] = None,
    block_size: Annotated[int | None, options.block_size()] = None,
    as_json: Annotated[bool, options.as_json("Print the rules as JSON.")] = False,
) -> None:
    """List the rules for experts, rank, depth, batch, tokens, schedule and weight decay, with their sources.

    \b
    Examples:
      widthwise rules
      widthwise rules depth
      widthwise rules weight_decay --json
      widthwise rules weight_decay --compare request.json
    """
    if compare is not None:
        if about is None:
            raise typer.BadParameter("name what the rules to compare are about", param_hint="ABOUT")
        _show_compared(known_word(About, about, "ABOUT"), compare, block_size, as_json=as_json)
        return
    if block_size is not None:
        raise typer.BadParameter("changes no formula; give it with --compare", param_hint="'--block-size'")
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
                console.paragraph(text, indent=f"  {label:18}", hanging=" " * 20)


def _show_compared(about: About, path: str, block_size: int | None, *, as_json: bool) -> None:
    asked = words.read_request(path) | words.given({"block_size": block_size}) | {"alternatives": [about.value]}
    found = plan_of(TransferRequest.from_dict(asked)).to_dict()["alternatives"][about.value]
    if as_json:
        console.print_json(found)
        return
    columns = ("hidden λ", "hidden η·λ", "embedding λ", "embedding η·λ")
    table = console.new_table("rule", *columns, left=1)
    for row in found["rules"]:
        cells = [cell for role in ("hidden", "embedding") for cell in _cells(row["roles"].get(role))]
        table.add_row(row["rule"] + (" (in the plan)" if row["in_plan"] else ""), *cells)
    console.show(f"Rules of {about.value}: λ, and what a step takes off a weight, before → after", table)
    out = console.stdout()
    for row in found["rules"]:
        assumed = f"refused: {row['refused']}" if row["refused"] else row["holds"]
        if assumed:
            text = f"{row['rule']}: {row['formula']} ({row['source']}). {assumed}"
            console.paragraph(text)
    for role, factor in found["apart"].items():
        out.print(f"The rules differ by up to ×{console.number(factor)} in η·λ of {role} tensors.")


def _cells(numbers: Mapping[str, Any] | None) -> tuple[str, str]:
    if numbers is None:
        return "", ""
    decay = console.number(numbers["weight_decay"]) or f"×{console.number(numbers['weight_decay_multiplier'])}"
    factor = f"×{console.number(numbers['decay_per_step_multiplier'])}"
    before, after = numbers["decay_per_step_before"], numbers["decay_per_step"]
    return decay, factor if after is None else f"{console.number(before)} → {console.number(after)} ({factor})"
