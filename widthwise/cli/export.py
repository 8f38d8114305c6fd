"""`widthwise export`: a saved plan as the file that a trainer reads."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from widthwise.cli import console, options, words
from widthwise.errors import InvalidInputError
from widthwise.exports.exporting import Exported, listed
from widthwise.exports.exporting import export as exported
from widthwise.transfers.plan import Plan

_YAML = (".yaml", ".yml")


def export(
    *,
    plan: Annotated[
        str | None,
        typer.Argument(
            help="The plan: from `widthwise transfer … --json`, `Plan.save` or a service; - for standard input.",
            metavar="PLAN",
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="NAME", help="The form (`widthwise export --list`).")] = None,
    allow_lossy: Annotated[
        bool,
        typer.Option("--allow-lossy", help="Also if the trainer can't take a value that the plan moves by over 1 %."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here (standard output unless given).")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the forms, with what each of them carries.")] = False,
    as_json: Annotated[bool, options.as_json("With --list: print it as JSON.")] = False,
) -> None:
    """Write a plan in the form of a trainer: PyTorch, optax, Hugging Face, torchtitan, Megatron and others.

    What the form can't carry stands in the file and on standard error. docs/exports.md says how each is used.

    \b
    Examples:
      widthwise export plan.json --to torch -o widthwise_torch.py
      widthwise export plan.json --to torchtitan --allow-lossy
      widthwise export - --to json -o plan.json
      widthwise export --list
    """
    if show_list:
        _show(listed(), as_json=as_json)
        return
    words.require({"PLAN": plan, "--to": to})
    assert plan is not None  # noqa: S101 - required above
    assert to is not None  # noqa: S101
    found = exported(_read(plan), to, allow_lossy=allow_lossy)
    if output is None:
        typer.echo(found.text, nl=False)
    else:
        try:
            output.write_text(found.text, encoding="utf-8")
        except OSError as error:
            raise InvalidInputError(f"{output} can't be written: {error.strerror}") from None
        console.say(f"Wrote {output}{_said(found)}.")
    for each in found.not_expressed:
        if each.matters:
            console.stderr().print(f"[yellow]Not expressed[/] ({each.quantity}): {escape(each.reason)}", soft_wrap=True)


def _read(path: str) -> Plan:
    value = _yaml(Path(path)) if path.endswith(_YAML) else words.read_request(path)
    if "provenance" not in value and "base" in value:
        raise InvalidInputError(
            f"{path} is a request for a transfer, not a plan; make the plan first: widthwise transfer {path} --json"
        )
    if "provenance" not in value:
        raise InvalidInputError(
            f"{path} is not a plan, since it has no 'provenance'; make one: widthwise transfer REQUEST --json"
        )
    return Plan.from_dict(value)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise InvalidInputError(f"{path} is YAML, which needs PyYAML: pip install pyyaml, or give JSON") from None
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f"{path} can't be read as YAML: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInputError(f"{path} contains a {type(value).__name__}; give a plan")
    return value


def _said(found: Exported) -> str:
    if not found.groups:
        return ""
    tensors = sum(count for _, count in found.groups)
    return f" for {found.name}: {tensors} tensors in {len(found.groups)} groups"


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        console.print_json(rows)
        return
    table = console.new_table("name", "trainer", "versions", "carries", left=4)
    for row in rows:
        carried = ", ".join(name.replace("_", " ") for name in row["carries"])
        table.add_row(row["name"], row["trainer"], row["versions"], carried)
    console.show("Forms of a plan", table)
