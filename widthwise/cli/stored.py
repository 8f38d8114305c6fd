"""`widthwise calibrate list`, `show`, `rename`, `note` and `delete`: the calibrations that a service has."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from widthwise.cli import console, drawing, options
from widthwise.cli.results import show_result
from widthwise.client import Calibration, Client
from widthwise.client.progress import counted

_Id = Annotated[str, typer.Argument(metavar="ID", help="The calibration's id.")]
_Url = Annotated[str | None, options.url()]
_AsJson = Annotated[bool, options.as_json("Print the service's JSON unchanged.")]


def list_calibrations(
    *,
    name: Annotated[str | None, typer.Option(help="Only those with exactly this name.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    url: _Url = None,
    as_json: Annotated[bool, options.as_json("Print a list of the service's JSON objects.")] = False,
) -> None:
    """List the calibrations, newest first.

    \b
    Examples:
      widthwise calibrate list
      widthwise calibrate list --name "muP, wide" --state succeeded
    """
    with Client(url) as client:
        found = list(islice(client.calibrations(state=state, name=name), limit))
    if as_json:
        console.print_json(found)
    elif not found:
        console.say("No calibrations match. Submit one: widthwise calibrate submit --help")
    else:
        _show_list(found)


def show(*, calibration_id: _Id, plot: drawing.Plot = None, url: _Url = None, as_json: _AsJson = False) -> None:
    """Show a calibration: its name and note, how far it is, and what it measured.

    \b
    Examples:
      widthwise calibrate show ID
      widthwise calibrate show ID --plot loss.pdf
    """
    with Client(url) as client:
        found = client.calibration(calibration_id)
        if plot is not None:
            drawing.draw_calibration(client, calibration_id, plot)
    if as_json:
        console.print_json(found)
        return
    _tell(found)
    show_result(found)


def rename(
    *,
    calibration_id: _Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Up to 100 characters; empty: no name.")],
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Name a calibration, for people; in any state, and nothing else of it changes.

    \b
    Examples:
      widthwise calibrate rename ID "muP, wide"
      widthwise calibrate rename ID ""
    """
    with Client(url) as client:
        _show_labels(client.label_calibration(calibration_id, {"name": name or None}), as_json=as_json)


def note(
    *,
    calibration_id: _Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Up to 2,000 characters; empty: no note.")],
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Note something about a calibration, instead of what was noted before.

    \b
    Examples:
      widthwise calibrate note ID "Before the new tokenizer."
    """
    with Client(url) as client:
        _show_labels(client.label_calibration(calibration_id, {"note": text or None}), as_json=as_json)


def delete(*, calibration_id: _Id, yes: Annotated[bool, options.yes()] = False, url: _Url = None) -> None:
    """Delete a calibration that has ended, with its trials and exponents. Asks first on a terminal.

    \b
    Examples:
      widthwise calibrate delete ID
      widthwise calibrate delete ID --yes
    """
    with Client(url) as client:
        if console.asks(yes=yes):
            found = client.calibration(calibration_id)
            trials = found["progress"]["trials_done"]
            console.confirm(f"Delete {_called(found)} with its {trials} trials and its exponents?")
        client.delete(calibration_id)
    console.say(f"Deleted {calibration_id}.")


def _show_labels(found: Calibration, *, as_json: bool) -> None:
    if as_json:
        console.print_json(found)
    else:
        _tell(found)


def _tell(found: Calibration) -> None:
    """Print what a calibration is called, how far it is, what was asked, and its note."""
    out, spec, progress = console.stdout(), found["spec"], found["progress"]
    done = counted(progress["trials_done"], progress["trials_total"])
    why = f": {found['reason']}" if found["reason"] else ""
    widths, minute = ", ".join(map(str, spec["widths"])), found["created_at"][:16].replace("T", " ")
    lines = [
        f"{_called(found)}: {found['state']}, {done}{why}",
        f"{spec['parameterization']}, {spec['optimizer']}; widths {widths}; submitted {minute} UTC",
        *([found["note"]] if found["note"] else []),
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    out.print("")


def _called(found: Calibration) -> str:
    """Return the name and the id."""
    return f"{found['name']} ({found['id']})" if found["name"] else found["id"]


def _show_list(found: Sequence[Calibration]) -> None:
    table = console.new_table("calibration", "name", "state", "setting", "widths", "trials", left=4)
    for each in found:
        spec, progress = each["spec"], each["progress"]
        setting = f"{spec['parameterization']}, {spec['optimizer']}"
        widths = ",".join(map(str, spec["widths"]))
        trials = counted(progress["trials_done"], progress["trials_total"]).removesuffix(" trials")
        table.add_row(each["id"], each["name"] or "", each["state"], setting, widths, trials)
    console.show(f"{len(found)} calibration{'' if len(found) == 1 else 's'}", table)
