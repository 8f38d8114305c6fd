"""`widthwise sweeps list`, `show`, `runs`, `rename`, `note` and `delete`: the sweeps that a service has."""

from itertools import islice
from typing import Annotated

import typer

from widthwise.cli import console, options
from widthwise.cli.sweep_tables import show_fit, show_runs, show_sweep, show_sweeps
from widthwise.client import Client, FittedSweep, KeptSweep
from widthwise.errors import ServiceError

_CONFLICT = 409
_Id = Annotated[str, typer.Argument(metavar="ID", help="The sweep's id.")]
_Url = Annotated[str | None, options.url()]
_AsJson = Annotated[bool, options.as_json("Print the service's JSON unchanged.")]


def list_sweeps(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    url: _Url = None,
    as_json: Annotated[bool, options.as_json("Print a list of the service's JSON objects.")] = False,
) -> None:
    """List the sweeps, newest first.

    \b
    Examples:
      widthwise sweeps list
    """
    with Client(url) as client:
        found = list(islice(client.sweeps(), limit))
    if as_json:
        console.print_json(found)
    elif not found:
        console.say("There are no sweeps. Upload one: widthwise sweeps create --help")
    else:
        show_sweeps(found)


def show(*, sweep_id: _Id, url: _Url = None, as_json: _AsJson = False) -> None:
    """Show what a sweep covers, and its fit: the optimum of every cell and the law over the axes.

    \b
    Examples:
      widthwise sweeps show ID
      widthwise sweeps show ID --json
    """
    with Client(url) as client:
        sweep = client.sweep(sweep_id)
        try:
            fit: FittedSweep | None = client.fit_sweep(sweep_id)
        except ServiceError as error:
            if error.status != _CONFLICT:  # no runs, or none that can be fitted
                raise
            fit = None
            console.say(str(error))
    if as_json:
        console.print_json({**sweep, "fit": fit})
        return
    show_sweep(sweep)
    if fit is not None:
        show_fit(fit)
        console.warn(fit["warnings"])


def runs(
    *,
    sweep_id: _Id,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, oldest first.")] = 1000,
    url: _Url = None,
    as_json: Annotated[bool, options.as_json("Print a list of the service's JSON objects.")] = False,
) -> None:
    """List the runs of a sweep, oldest first.

    \b
    Examples:
      widthwise sweeps runs ID
    """
    with Client(url) as client:
        found = list(islice(client.sweep_runs(sweep_id), limit))
    if as_json:
        console.print_json(found)
    elif not found:
        console.say("The sweep has no runs yet. Add some: widthwise sweeps add --help")
    else:
        show_runs(found)


def rename(
    *,
    sweep_id: _Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Up to 200 characters.")],
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Rename a sweep; its runs and its fit stay as they are.

    \b
    Examples:
      widthwise sweeps rename ID "two optimizers"
    """
    with Client(url) as client:
        _show(client.label_sweep(sweep_id, {"name": name}), as_json=as_json)


def note(
    *,
    sweep_id: _Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Up to 4,000 characters; empty: no notes.")],
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Note something about a sweep, instead of what was noted before.

    \b
    Examples:
      widthwise sweeps note ID "Before the new tokenizer."
      widthwise sweeps note ID ""
    """
    with Client(url) as client:
        _show(client.label_sweep(sweep_id, {"notes": text or None}), as_json=as_json)


def delete(*, sweep_id: _Id, yes: Annotated[bool, options.yes()] = False, url: _Url = None) -> None:
    """Delete a sweep and its runs. Asks first on a terminal.

    \b
    Examples:
      widthwise sweeps delete ID
      widthwise sweeps delete ID --yes
    """
    with Client(url) as client:
        if console.asks(yes=yes):
            found = client.sweep(sweep_id)
            console.confirm(f"Delete {found['name']} ({sweep_id}) with its {found['runs']} runs?")
        client.delete_sweep(sweep_id)
    console.say(f"Deleted {sweep_id}.")


def _show(sweep: KeptSweep, *, as_json: bool) -> None:
    if as_json:
        console.print_json(sweep)
    else:
        show_sweep(sweep)
