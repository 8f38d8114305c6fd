"""`widthwise exponents`: what calibrations measured."""

from itertools import groupby, islice
from operator import itemgetter
from typing import Annotated

import typer

from widthwise.cli import console, options
from widthwise.cli.results import show_exponents
from widthwise.client import Client
from widthwise.vocabulary import AlignmentKind, ExponentQuantity, ExponentRole, Optimizer, Parameterization

_FILTERS, _OUTPUT = "Only exponents with", options.OUTPUT


def exponents(
    *,
    parameterization: Annotated[Parameterization | None, options.parameterization(_FILTERS)] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer(_FILTERS)] = None,
    alignment: Annotated[
        AlignmentKind | None, options.word(AlignmentKind, "Which exponents were tested.", panel=_FILTERS)
    ] = None,
    role: Annotated[ExponentRole | None, options.word(ExponentRole, panel=_FILTERS)] = None,
    quantity: Annotated[ExponentQuantity | None, options.word(ExponentQuantity, panel=_FILTERS)] = None,
    architecture: Annotated[str | None, options.named(panel=_FILTERS)] = None,
    dataset: Annotated[str | None, options.named(panel=_FILTERS)] = None,
    calibration: Annotated[str | None, options.identifier(panel=_FILTERS)] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.", rich_help_panel=_OUTPUT)] = 100,
    url: Annotated[str | None, options.url()] = None,
    as_json: Annotated[bool, options.as_json("Print a list of the service's JSON objects.")] = False,
) -> None:
    """List measured exponents, newest first, with their intervals and theory's values.

    \b
    Examples:
      widthwise exponents
      widthwise exponents -p mup -o adam --role hidden
      widthwise exponents --quantity learning_rate_over_tokens
      widthwise exponents --calibration ID --json
    """
    with Client(url) as client:
        every = client.exponents(
            parameterization=parameterization,
            optimizer=optimizer,
            alignment=alignment,
            role=role,
            quantity=quantity,
            architecture=architecture,
            dataset=dataset,
            calibration_id=calibration,
        )
        found = list(islice(every, limit))
    if as_json:
        console.print_json(found)
        return
    if not found:
        console.say("No exponents match. Measure some: widthwise calibrate --help")
        return
    for calibration_id, group in groupby(found, key=itemgetter("calibration_id")):
        items = list(group)
        of = items[0]
        setting = f"{of['parameterization']}, {of['optimizer']}, {of['alignment']} alignment"
        show_exponents(items, f"{calibration_id}: {setting}, {of['architecture']} on {of['dataset']}")
