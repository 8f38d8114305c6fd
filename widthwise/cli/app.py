"""The command-line app: the library's commands in one group, and the handling of errors."""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from widthwise.cli import console
from widthwise.cli.advise import advise
from widthwise.cli.calibrate import calibrate
from widthwise.cli.commands import Commands
from widthwise.cli.convert import convert
from widthwise.cli.demo import demo
from widthwise.cli.exponents import exponents
from widthwise.cli.export import export
from widthwise.cli.fit import fit
from widthwise.cli.fleet import fleet
from widthwise.cli.rules import rules
from widthwise.cli.sweeps import sweeps
from widthwise.cli.transfer import transfer
from widthwise.cli.usage import UsageError, usage_message
from widthwise.errors import WidthwiseError
from widthwise.version import VERSION

app = typer.Typer(
    name="widthwise",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a user's error is one line, a bug a plain traceback
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"widthwise {VERSION}\n")
        raise typer.Exit


@app.callback()
def widthwise(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tune a small model, train a large one: every tensor's learning rate, epsilon, init and decay.

    \b
    Start here:
      widthwise demo       the whole service in a minute or two
      widthwise serve      the service: page, API and local workers
      widthwise transfer examples/gpt2_small_to_xl.json

    Results go to stdout, warnings and progress to stderr. Exit codes: 0 success, 1 an error that the message explains,
    2 an invalid command line.
    """
    del version  # its callback has shown it


for command in (demo, transfer, export, advise, rules, exponents, fit, fleet):
    app.command()(command)
app.add_typer(convert)
app.add_typer(calibrate)
app.add_typer(sweeps)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; always raises SystemExit, with 0, 1 or 2."""
    if sys.stdout is None:  # started with >&-: nobody wants the results
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII-only pipe gets "?" for ×, not a traceback
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name=app.info.name, standalone_mode=False)
        sys.stdout.flush()  # here, while a full disk can still be reported
    except UsageError as error:
        sys.exit(_misused(error))
    except typer.Abort:
        console.fail("stopped before it was done; nothing more was changed")
        sys.exit(1)
    except WidthwiseError as error:
        console.fail(str(error))
        sys.exit(1)
    except OSError as error:
        console.fail(f"the results can't be written: {error.strerror or error}")
        os._exit(1)  # otherwise the interpreter would try to write them again and fail with a traceback
    sys.exit(code if isinstance(code, int) else 0)


def _misused(error: Exception) -> int:
    """Say what is wrong with the command line; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":  # nothing is wrong: its message is the help
        sys.stdout.write(str(getattr(error, "message", "")))
    else:
        console.fail(usage_message(error))
    return 2
