"""`widthwise calibrate`: submit, extend, watch, list, name, cancel, delete and compare calibrations."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from widthwise.cli import console, drawing, options, specification, words
from widthwise.cli.results import show_comparison
from widthwise.cli.stored import delete, list_calibrations, note, rename, show
from widthwise.cli.submit import submit
from widthwise.cli.watching import show_state, submit_and_watch, watch_to_its_end
from widthwise.client import Client

DEFAULT = "submit"
#: Commands that used to be options of `widthwise calibrate`; the options work until the next release.
WERE_OPTIONS = ("extend", "watch", "cancel", "compare")


class _SubmitsByDefault(TyperGroup):
    """A group that passes arguments to `submit` if they do not name a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the command if it was omitted or given as an option."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = with_command(args)
        return super().parse_args(ctx, args)


def with_command(arguments: list[str]) -> list[str]:
    """Return the arguments with the intended command in front.

    >>> with_command(["-p", "mup"])
    ['submit', '-p', 'mup']
    >>> with_command(["--json", "--watch", "ID"])  # and says so on stderr
    ['watch', '--json', 'ID']
    """
    for place, word in enumerate(arguments):
        option, _, value = word.partition("=")
        command = option.removeprefix("--")
        if option.startswith("--") and command in WERE_OPTIONS:
            console.say(
                f"`widthwise calibrate {option}` is now `widthwise calibrate {command}`; "
                "the option will be removed in the next release."
            )
            return [command, *arguments[:place], *([value] if value else []), *arguments[place + 1 :]]
    return [DEFAULT, *arguments]


calibrate = typer.Typer(name="calibrate", cls=_SubmitsByDefault, no_args_is_help=True, rich_markup_mode="rich")
for _command in (submit, show, rename, note, delete):
    calibrate.command()(_command)
calibrate.command("list")(list_calibrations)


@calibrate.callback()
def about() -> None:
    """Measure exponents on small models: submit a calibration to a service, watch it, extend it.

    Without a command, options and a file are passed to `submit`.

    \b
    Examples:
      widthwise calibrate -p standard -o adam --widths 64,128,256
      widthwise calibrate spec.json --detach
      widthwise calibrate watch ID
    """


_Id = Annotated[str, typer.Argument(metavar="ID", help="The calibration's id.")]
_Url = Annotated[str | None, options.url()]
_AsJson = Annotated[bool, options.as_json("Print the service's JSON unchanged.")]


@calibrate.command()
def extend(
    *,
    calibration_id: _Id,
    widths: Annotated[str | None, typer.Option(help="Widths to add.", metavar="N,N,…")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds per learning rate, in total.")] = None,
    mesh: Annotated[float | None, typer.Option(help="Finest spacing around each optimum, in octaves.")] = None,
    precision: Annotated[
        float | None, typer.Option(help="Octaves of half of the 95 % interval; of an information search.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Floating-point operations in all; of an information search.")
    ] = None,
    name: Annotated[str | None, options.calibration_name()] = None,
    note: Annotated[str | None, options.note()] = None,
    detach: Annotated[bool, options.detach()] = False,
    key: Annotated[str | None, options.idempotency_key()] = None,
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Start a calibration from another one's trials, with more widths, more seeds or a finer mesh.

    An information search can be asked for more precision, or have a larger budget.

    \b
    Examples:
      widthwise calibrate extend ID --widths 512
      widthwise calibrate extend ID --seeds 5 --mesh 0.25
      widthwise calibrate extend ID --precision 0.6
    """
    given = {"widths": widths, "seeds": seeds, "mesh": mesh, "precision": precision, "budget": budget}
    given |= {"name": name, "note": note}
    asked = specification.extension(words.given(given))
    submit_and_watch(
        lambda client, key: client.extend_calibration(calibration_id, asked, idempotency_key=key),
        url=url,
        key=key,
        detach=detach,
        as_json=as_json,
    )


@calibrate.command()
def watch(*, calibration_id: _Id, plot: drawing.Plot = None, url: _Url = None, as_json: _AsJson = False) -> None:
    """Show the progress of a calibration until it has ended, then its results.

    \b
    Examples:
      widthwise calibrate watch ID
      widthwise calibrate watch ID --json
      widthwise calibrate watch ID --plot loss.pdf
    """
    with Client(url) as client:
        if plot is not None:
            drawing.check(plot)  # refused before a long wait
        try:
            watch_to_its_end(client, calibration_id, as_json=as_json)
        except typer.Exit:  # it has failed, or Ctrl-C ended the watch: the trials are there all the same
            if plot is not None:
                drawing.draw_calibration(client, calibration_id, plot)
            raise
        if plot is not None:
            drawing.draw_calibration(client, calibration_id, plot)


@calibrate.command()
def cancel(*, calibration_id: _Id, url: _Url = None, as_json: _AsJson = False) -> None:
    """Cancel a calibration; finished trials are kept.

    \b
    Examples:
      widthwise calibrate cancel ID
    """
    with Client(url) as client:
        show_state(client.cancel(calibration_id), as_json=as_json)


@calibrate.command()
def compare(
    *,
    calibration_id: _Id,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other calibration's id.")],
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Show how specification, code, device and losses of two calibrations differ.

    \b
    Examples:
      widthwise calibrate compare ID OTHER
    """
    with Client(url) as client:
        comparison = client.compare(calibration_id, other)
    if as_json:
        console.print_json(comparison)
    else:
        show_comparison(comparison)
