"""Options that several commands share: each is declared once, and a command says in which panel it stands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import AlignmentName, Form, Optimizer, Parameterization, Word, known_word

SETTING, OUTPUT = "Setting", "Service and output"

#: --data-dir, of every command that opens the database itself.
DataDir = Annotated[
    Path | None,
    typer.Option(help="Directory of the database and the compile cache (WIDTHWISE_DATA_DIR; ./widthwise-data)."),
]


def word(
    kind: type[Word], help_text: str | None = None, *names: str, panel: str | None = None, metavar: str | None = None
) -> Any:
    """An option that takes a word of a vocabulary; an error says which there are, as it does everywhere else."""

    def read(text: str) -> Word:
        try:
            return known_word(kind, text, "the word")
        except InvalidInputError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option(
        *names,
        parser=read,
        metavar=metavar or f"<{'|'.join(kind)}>",
        autocompletion=lambda: list(kind),
        help=help_text,
        rich_help_panel=panel,
    )


def parameterization(panel: str = SETTING) -> Any:
    """-p: how init and multipliers depend on width."""
    help_text = "How init and multipliers depend on width."
    return word(Parameterization, help_text, "--parameterization", "-p", panel=panel)


def optimizer(panel: str = SETTING) -> Any:
    """-o: what takes the step."""
    help_text = f"What takes the step: {', '.join(Optimizer)}."
    return word(Optimizer, help_text, "--optimizer", "-o", panel=panel, metavar="NAME")


def alignment(help_text: str) -> Any:
    """--alignment of a request: what it means depends on the command."""
    return word(AlignmentName, help_text, panel=SETTING)


def block_size(panel: str = SETTING) -> Any:
    """--block-size."""
    help_text = "Of Shampoo's and SOAP's preconditioners (one block a matrix unless given)."
    return typer.Option(min=1, help=help_text, rich_help_panel=panel)


def readout_omega() -> Any:
    """--readout-omega."""
    return typer.Option(help="ω of the readout, 0.5 to 1 (the alignment's own unless given).", rich_help_panel=SETTING)


def form() -> Any:
    """--form."""
    return word(Form, f"Which of muP's published forms ({Form.TABLE_9.value} unless given).", panel=SETTING)


def named(help_text: str | None = None, *, panel: str) -> Any:
    """An option that takes a name."""
    return typer.Option(metavar="NAME", help=help_text, rich_help_panel=panel)


def identifier(help_text: str | None = None, *, panel: str = OUTPUT) -> Any:
    """An option that takes the id of a calibration."""
    return typer.Option(metavar="ID", help=help_text, rich_help_panel=panel)


def url() -> Any:
    """--url: the service to ask."""
    help_text = "The service (http://127.0.0.1:8000 unless given)."
    return typer.Option(help=help_text, envvar="WIDTHWISE_URL", rich_help_panel=OUTPUT)


def as_json(help_text: str, panel: str = OUTPUT) -> Any:
    """--json: what the service gives, as it is."""
    return typer.Option("--json", help=help_text, rich_help_panel=panel)


def calibration_name() -> Any:
    """--name of a calibration."""
    return typer.Option("--name", help="A name for people; not part of the specification.", rich_help_panel=OUTPUT)


def note() -> Any:
    """--note of a calibration."""
    return typer.Option("--note", help="Anything worth remembering.", rich_help_panel=OUTPUT)


def yes() -> Any:
    """--yes, of what deletes."""
    return typer.Option("--yes", help="Don't ask.")


def detach() -> Any:
    """--detach, of what submits a calibration."""
    return typer.Option("--detach", help="Submit and leave; don't wait.", rich_help_panel=OUTPUT)


def idempotency_key() -> Any:
    """--key, of what submits a calibration."""
    help_text = "Idempotency key: the same key again submits nothing new."
    return typer.Option("--key", metavar="KEY", help=help_text, rich_help_panel=OUTPUT)
