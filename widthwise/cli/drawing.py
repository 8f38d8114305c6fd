"""--plot: the figures of what a command shows, in the format that the file's name ends in."""

from pathlib import Path
from typing import Annotated, Any

import typer

from widthwise.cli import console, options
from widthwise.client import Client

FORMATS = "as .svg, .pdf or .png, or their numbers as .csv"


def plot(help_text: str, panel: str | None = None) -> Any:
    """--plot FILE."""
    return typer.Option("--plot", metavar="FILE", help=help_text, rich_help_panel=panel)


#: --plot, of every command that shows a calibration.
Plot = Annotated[
    Path | None,
    plot(
        f"Draw loss over learning rate into FILE, and the best rate over width next to it, {FORMATS}.", options.OUTPUT
    ),
]


def check(file: Path) -> None:
    """Refuse a name that ends in no format, before a long wait."""
    from widthwise.figures.figure import suffix_of

    suffix_of(file)


def draw_calibration(client: Client, calibration_id: str, file: Path) -> None:
    """Draw loss over learning rate into a file, and the best rate over width into one with `-widths` in its name."""
    from widthwise.calibration.spec import CalibrationSpec
    from widthwise.calibration.trial import Trial
    from widthwise.figures.sweep import learning_rate_plot
    from widthwise.figures.widths import width_plot

    found = client.calibration(calibration_id)
    spec = CalibrationSpec.from_dict(found["spec"])
    trials = [Trial.from_dict(trial) for trial in client.trials(calibration_id)]
    other = file.with_stem(f"{file.stem}-widths")
    learning_rate_plot(spec, trials, found["result"]).save(file)
    width_plot(spec, trials).save(other)
    console.say(f"Drew {file} and {other}.")


def draw_transfer(plan: dict[str, Any], file: Path) -> None:
    """Draw how each quantity of a plan goes from the base's width to the target's."""
    from widthwise.figures.transfer import transfer_plot
    from widthwise.transfers.plan import Plan

    transfer_plot(Plan.from_dict(plan)).save(file)
