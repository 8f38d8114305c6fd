"""`widthwise fit`: the optimum of every cell of a sweep, a law over its axes, and predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from widthwise.cli import console, drawing, options, sweep_options
from widthwise.cli.sweep_tables import range_of, show_fit, show_held_out, show_predictions, values_of

if TYPE_CHECKING:
    from widthwise.sweeps import SweepFit, SweepPrediction
    from widthwise.sweeps.exports import Export
    from widthwise.sweeps.holdout import HeldOutCell

_ASKED, _OUTPUT = "What to predict", options.OUTPUT


def fit(
    *,
    file: Annotated[Path, sweep_options.file()],
    column: Annotated[list[str] | None, sweep_options.column()] = None,
    axis: Annotated[list[str] | None, sweep_options.axis()] = None,
    group: Annotated[list[str] | None, sweep_options.group()] = None,
    without: Annotated[list[str] | None, sweep_options.without()] = None,
    study: Annotated[str | None, sweep_options.study()] = None,
    prescribed: Annotated[list[str] | None, sweep_options.prescribed()] = None,
    predict: Annotated[
        list[str] | None,
        typer.Option(
            "--predict", metavar="AXIS=VALUE,…", help="A cell to predict; every axis.", rich_help_panel=_ASKED
        ),
    ] = None,
    holdout: Annotated[str | None, sweep_options.holdout(_ASKED)] = None,
    plot: Annotated[
        Path | None,
        drawing.plot(
            f"Draw the cells' curves, the best rate over each axis, and what was held out, {drawing.FORMATS}.", _OUTPUT
        ),
    ] = None,
    as_json: Annotated[bool, options.as_json("Print one JSON object.", _OUTPUT)] = False,
) -> None:
    """Fit a learning-rate sweep over any axes: optima, one law over all of them, and predictions.

    A blank loss or a status other than completed is a run that diverged. Runs that differ in nothing but the learning
    rate are a cell, equal runs are repeats. Works without a service.

    \b
    Examples:
      widthwise fit runs.csv
      widthwise fit runs.csv --axis tokens=D --axis parameters=N --without depth \\
          --predict parameters=7e9,tokens=1e12,batch_tokens=4e6
      widthwise fit wandb.csv --group optimizer --column loss=eval/loss
      widthwise fit study.db --study "width sweep" --axis width=params_d
      widthwise fit table.csv --column learning_rate=lr --column status=state
      widthwise fit runs.jsonl --holdout tokens=max --plot sweep.svg
    """
    from widthwise.figures.sweep_report import sweep_report
    from widthwise.sweeps import fit_sweep
    from widthwise.sweeps.holdout import hold_out
    from widthwise.sweeps.reading import read_file

    columns, groups = sweep_options.meanings(column, axis, group)
    read = read_file(file, columns=columns, groups=groups, without=without or (), study=study)
    export, runs = read.export, read.runs()
    found = fit_sweep(runs, prescribed=prescribed or ())
    words = [name for name, value in found.cells[0].axes.items() if isinstance(value, str)]
    predictions = [found.predict(**sweep_options.place(text, words)) for text in predict or ()]
    held = () if holdout is None else hold_out(runs, *sweep_options.end(holdout), prescribed=prescribed or ())
    if plot is not None:
        sweep_report(found, predictions=predictions, held_out=held).save(plot)
    if as_json:
        console.print_json({**_to_dict(found, predictions, held), "export": _export(export)})
        return
    if told := export.described():
        console.stdout().print(told, soft_wrap=True, markup=False, highlight=False)
    shown = _to_dict(found, predictions, held)
    show_fit(shown)
    if predictions:
        show_predictions(shown["predictions"])
    for each in predictions:
        _show_published(each)
    if held:
        show_held_out({"cells": shown["held_out"], "covered": sum(cell.covered for cell in held)})
    warnings = [*found.warnings, *(warning for each in predictions for warning in each.warnings)]
    console.warn([warning._asdict() for warning in dict.fromkeys(warnings)])


def _export(export: "Export") -> dict[str, Any] | None:
    if not export.described():
        return None
    return {"tool": export.tool or None, "columns": dict(export.columns), "left_out": export.left_out}


def _to_dict(
    found: "SweepFit", predictions: Sequence["SweepPrediction"], held: Sequence["HeldOutCell"]
) -> dict[str, Any]:
    return {
        **found.to_dict(),
        "predictions": [each.to_dict() for each in predictions],
        "held_out": [
            {
                "axes": dict(each.optimum.axes),
                "optimum": each.optimum.learning_rate,
                "optimum_interval": list(each.optimum.interval),
                "predicted": each.prediction.learning_rate,
                "interval": list(each.prediction.interval),
                "octaves": each.octaves,
                "regret": each.regret,
                "covered": each.covered,
            }
            for each in held
        ],
    }


def _show_published(prediction: "SweepPrediction") -> None:
    found = [one for one in prediction.published if one.learning_rate is not None]
    if not found:
        return
    table = console.new_table("law", "learning rate", "95 % interval", "holds")
    for one in found:
        interval = "" if one.interval is None else range_of(one.interval)
        table.add_row(one.title, f"{one.learning_rate:.3g}", interval, "yes" if one.valid else "no")
    place = ", ".join(
        f"{name} {value}" for name, value in zip(prediction.axes, values_of(prediction.axes), strict=True)
    )
    console.show(f"Published laws at {place}", table)
    for one in found:
        if one.outside:
            text = f"{one.title} was fitted to other runs: {'; '.join(one.outside)}."
            console.stdout().print(text, soft_wrap=True, markup=False, highlight=False)
