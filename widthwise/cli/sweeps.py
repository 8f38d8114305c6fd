"""`widthwise sweeps`: upload sweeps to a service, add runs, predict, and what `stored_sweeps` has."""

from pathlib import Path
from typing import Annotated

import typer

from widthwise.cli import console, options, sweep_options, words
from widthwise.cli.stored_sweeps import delete, list_sweeps, note, rename, runs, show
from widthwise.cli.sweep_tables import say_export, show_held_out, show_predictions, show_sweep
from widthwise.client import Client
from widthwise.vocabulary import AlignmentName, Form, Optimizer, Parameterization

sweeps = typer.Typer(name="sweeps", no_args_is_help=True, rich_markup_mode="rich")

_SETTING = options.SETTING
_Id = Annotated[str, typer.Argument(metavar="ID", help="The sweep's id.")]
_File = Annotated[Path, sweep_options.file()]
_Url = Annotated[str | None, options.url()]
_AsJson = Annotated[bool, options.as_json("Print the service's JSON unchanged.")]


@sweeps.callback()
def about() -> None:
    """Keep sweeps in a service: upload runs from anywhere, fit them, predict what was not run.

    `widthwise fit` does the same with a file and without a service.

    \b
    Examples:
      widthwise sweeps create runs.csv --name overnight --axis tokens=D
      widthwise sweeps add ID more.jsonl
      widthwise sweeps predict ID width=4096,tokens=1e11
    """


@sweeps.command()
def create(
    *,
    file: _File,
    name: Annotated[str | None, typer.Option(help="A name for people (the file's unless given).")] = None,
    notes: Annotated[str | None, typer.Option(help="Anything worth remembering.")] = None,
    column: Annotated[list[str] | None, sweep_options.column()] = None,
    axis: Annotated[list[str] | None, sweep_options.axis()] = None,
    group: Annotated[list[str] | None, sweep_options.group()] = None,
    without: Annotated[list[str] | None, sweep_options.without()] = None,
    study: Annotated[str | None, sweep_options.study()] = None,
    prescribed: Annotated[list[str] | None, sweep_options.prescribed()] = None,
    parameterization: Annotated[Parameterization | None, options.parameterization()] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer()] = None,
    alignment: Annotated[
        AlignmentName | None, options.alignment("By which theory the rates were prescribed (full unless given).")
    ] = None,
    readout_omega: Annotated[float | None, options.readout_omega()] = None,
    form: Annotated[Form | None, options.form()] = None,
    key: Annotated[str | None, options.idempotency_key()] = None,
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Upload the runs of a file as a sweep.

    The file is read as by `widthwise fit`, exports of Optuna and W&B included. A transfer can use the sweep's exponent
    over width if it says with which parameterization and optimizer the models were trained.

    \b
    Examples:
      widthwise sweeps create runs.csv
      widthwise sweeps create wandb.csv --group optimizer --column loss=eval/loss
      widthwise sweeps create study.db --study "width sweep"
      widthwise sweeps create runs.jsonl -p mup -o adamw --prescribed width
    """
    from widthwise.sweeps.reading import read_file

    columns, groups = sweep_options.meanings(column, axis, group)
    read = read_file(file, columns=columns, groups=groups, without=without or (), study=study)
    asked = {
        "notes": notes,
        "columns": dict(read.columns),
        "groups": groups,
        "without": without or [],
        "prescribed": prescribed or [],
        "parameterization": parameterization,
        "optimizer": optimizer,
        "alignment": alignment,
        "readout_omega": readout_omega,
        "form": form,
    }
    rows = read.sent_rows()
    with Client(url) as client:
        sweep = client.create_sweep(name or file.stem, rows, idempotency_key=key, **words.given(asked))
    say_export(read.export)
    if as_json:
        console.print_json(sweep)
        return
    show_sweep(sweep)


@sweeps.command()
def add(
    *,
    sweep_id: _Id,
    file: _File,
    without: Annotated[list[str] | None, sweep_options.without()] = None,
    study: Annotated[str | None, sweep_options.study()] = None,
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Add the runs of a file to a sweep; runs that it has change nothing.

    The columns have the names that the sweep was created with; those of an export of Optuna or W&B may have others. If
    the sweep has one of the runs with another loss, nothing is added.

    \b
    Examples:
      widthwise sweeps add ID more.csv
      widthwise sweeps add ID wandb.csv --without depth
    """
    from widthwise.sweeps.reading import rows_to_add

    with Client(url) as client:
        sweep = client.sweep(sweep_id)
        export, rows = rows_to_add(file, sweep["reading"], sweep["axes"], without=without or (), study=study)
        answer = client.add_runs(sweep_id, rows)
    say_export(export)
    if as_json:
        console.print_json(answer)
        return
    console.say(f"{answer['added']} of {len(rows)} runs were new.")
    show_sweep(answer["sweep"])


@sweeps.command()
def predict(
    *,
    sweep_id: _Id,
    places: Annotated[
        list[str] | None, typer.Argument(metavar="AXIS=VALUE,…", help="Cells to predict; every axis.")
    ] = None,
    holdout: Annotated[str | None, sweep_options.holdout()] = None,
    url: _Url = None,
    as_json: _AsJson = False,
) -> None:
    """Predict the best learning rate of cells, and score the law on cells that it does not see.

    \b
    Examples:
      widthwise sweeps predict ID width=4096,tokens=1e11
      widthwise sweeps predict ID --holdout width=max
    """
    if not places and holdout is None:
        raise typer.BadParameter("missing; give a cell, or --holdout", param_hint="'AXIS=VALUE,…'")
    held = None if holdout is None else sweep_options.end(holdout)
    with Client(url) as client:
        axes = client.sweep(sweep_id)["axes"]
        named = [axis for axis, values in axes.items() if values.get("levels")]
        cells = [sweep_options.place(text, named, "'AXIS=VALUE,…'") for text in places or ()]
        answer = client.predict_sweep(sweep_id, cells, holdout=held)
    if as_json:
        console.print_json(answer)
        return
    if answer["predictions"]:
        show_predictions(answer["predictions"])
    if answer["held_out"] is not None:
        show_held_out(answer["held_out"])
    every = [*answer["warnings"], *(warning for each in answer["predictions"] for warning in each["warnings"])]
    console.warn({warning["code"] + warning["message"]: warning for warning in every}.values())


sweeps.command("list")(list_sweeps)
for _command in (show, runs, rename, note, delete):
    sweeps.command()(_command)
