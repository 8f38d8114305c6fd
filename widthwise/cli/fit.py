"""`widthwise fit`: the optimum of every cell of a sweep, a law over its axes, and predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from widthwise.cli import console, options
from widthwise.errors import InvalidInputError

if TYPE_CHECKING:
    from widthwise.sweeps import SweepFit, SweepPrediction
    from widthwise.sweeps.exports import Export
    from widthwise.sweeps.holdout import HeldOutCell

_RUNS, _ASKED, _OUTPUT = "What the columns mean", "What to predict", options.OUTPUT


def fit(
    *,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Runs as CSV, JSON lines or a JSON list, or Optuna's SQLite storage."),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="FIELD=COLUMN",
            help="The column of learning_rate, loss, seed or status, if it has another name.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME[=COLUMN]",
            help="An axis of numbers; width, depth, parameters, tokens, batch_tokens and rank are read anyway.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="NAME[=COLUMN]", help="An axis of words, such as optimizer.", rich_help_panel=_RUNS
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="AXIS", help="Leave an axis out, such as depth.", rich_help_panel=_RUNS),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--study", metavar="NAME", help="The study, if a storage has several.", rich_help_panel=_RUNS),
    ] = None,
    prescribed: Annotated[
        list[str] | None,
        typer.Option(
            "--prescribed",
            metavar="AXIS",
            help="An axis that the parameterization already scales the rates over, such as width under muP.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    predict: Annotated[
        list[str] | None,
        typer.Option(
            "--predict", metavar="AXIS=VALUE,…", help="A cell to predict; every axis.", rich_help_panel=_ASKED
        ),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            "--holdout",
            metavar="AXIS=max|min",
            help="Predict the cells at this end of an axis from all others, and say how well.",
            rich_help_panel=_ASKED,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.svg",
            help="Draw the cells' curves, the best rate over each axis, and what was held out.",
            rich_help_panel=_OUTPUT,
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
    from widthwise.sweeps import fit_sweep, runs_from_rows
    from widthwise.sweeps.exports import recognised
    from widthwise.sweeps.holdout import hold_out
    from widthwise.sweeps.table import read_rows

    groups = dict(_pair(text, "--group") for text in group or ())
    columns = {**_fields(column), **dict(_pair(text, "--axis") for text in axis or ()), **groups}
    export = recognised(read_rows(file, study=study))
    known = {name: column for name, column in export.columns.items() if name not in (without or ())}
    runs = runs_from_rows(export.rows, columns={**known, **columns}, groups=tuple(groups), without=without or ())
    found = fit_sweep(runs, prescribed=prescribed or ())
    predictions = [found.predict(**_place(text, found)) for text in predict or ()]
    held = () if holdout is None else hold_out(runs, *_end(holdout), prescribed=prescribed or ())
    if plot is not None:
        _write(plot, sweep_report(found, predictions=predictions, held_out=held))
    if as_json:
        console.print_json({**_to_dict(found, predictions, held), "export": _export(export)})
        return
    if export.tool:
        console.stdout().print(export.described(), soft_wrap=True, markup=False, highlight=False)
    _show_optima(found)
    _show_law(found)
    if predictions:
        _show_predictions(predictions)
    if held:
        _show_held_out(held)
    warnings = [*found.warnings, *(warning for each in predictions for warning in each.warnings)]
    console.warn([warning._asdict() for warning in dict.fromkeys(warnings)])


def _export(export: "Export") -> dict[str, Any] | None:
    if not export.tool:
        return None
    return {"tool": export.tool, "columns": dict(export.columns), "left_out": export.left_out}


def _write(file: Path, figure: str) -> None:
    try:
        file.write_text(figure, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{file} can't be written: {error.strerror}", field="plot") from None


def _pair(text: str, option: str) -> tuple[str, str]:
    name, _, column = text.partition("=")
    if not name:
        raise typer.BadParameter(f"{text!r}: give NAME=COLUMN", param_hint=f"'{option}'")
    return name, column or name


def _fields(texts: Sequence[str] | None) -> dict[str, str]:
    found = dict(_pair(text, "--column") for text in texts or ())
    for name in found:
        if name not in ("learning_rate", "loss", "seed", "status"):
            raise typer.BadParameter(
                f"{name!r}: give learning_rate, loss, seed or status; --axis and --group name the rest",
                param_hint="'--column'",
            )
    return found


def _place(text: str, found: "SweepFit") -> dict[str, float | str]:
    """A cell as AXIS=VALUE,…; a value is a word where the runs have words."""
    place: dict[str, float | str] = {}
    known = found.cells[0].axes
    for part in text.split(","):
        name, separator, value = part.strip().partition("=")
        try:
            place[name] = value if isinstance(known.get(name), str) else float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise typer.BadParameter(f"{part!r}: give AXIS=NUMBER", param_hint="'--predict'")
    return place


def _end(text: str) -> tuple[str, Literal["max", "min"]]:
    name, _, end = text.partition("=")
    if end == "max":
        return name, "max"
    if end == "min":
        return name, "min"
    raise typer.BadParameter(f"{text!r}: give AXIS=max or AXIS=min", param_hint="'--holdout'")


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
                "covered": each.covered,
            }
            for each in held
        ],
    }


def _show_optima(found: "SweepFit") -> None:
    names = list(found.cells[0].axes)
    table = console.new_table(*names, "learning rate", "95 % interval", "edge", left=len(names))
    for optimum in found.optima:
        edge = {None: "", "low": "at or below", "high": "at or above", "both": "one rate"}[optimum.edge]
        table.add_row(*_values(optimum.axes), console.number(optimum.learning_rate), _range(optimum.interval), edge)
    console.show(f"Optima ({len(found.optima)} cells)", table)


def _show_law(found: "SweepFit") -> None:
    table = console.new_table("law", "value", "95 % interval", "prior", "from the data")
    for one in found.law:
        low, high = one.interval
        prior = f"{one.prior.mean:.3g} ± {one.prior.standard_deviation:.3g}"
        table.add_row(one.name, f"{one.value:.3f}", f"{low:.3f} to {high:.3f}", prior, f"{one.learnt:.0%}")
    console.show("Law: log2 of the best rate over log2 of each axis", table)
    out = console.stdout()
    out.print(f"Single cells scatter by {found.scatter:.2f} octaves about it.")
    if found.saturation_batch is not None:
        value, interval = found.saturation_batch
        out.print(f"The best rate stops growing near a batch of {value:.3g} tokens ({_range(interval)}).")


def _show_predictions(predictions: Sequence["SweepPrediction"]) -> None:
    names = list(predictions[0].axes)
    table = console.new_table(
        *names, "learning rate", "95 % interval", "of the law", "expected regret, nats", left=len(names)
    )
    for each in predictions:
        regret = f"{each.expected_regret:.2g}"
        rate = console.number(each.learning_rate)
        table.add_row(*_values(each.axes), rate, _range(each.interval), _range(each.law_interval), regret)
    console.show("Predictions", table)
    for each in predictions:
        _show_published(each)


def _show_published(prediction: "SweepPrediction") -> None:
    found = [one for one in prediction.published if one.learning_rate is not None]
    if not found:
        return
    table = console.new_table("published law", "learning rate", "95 % interval", "holds", "not what it was fitted to")
    for one in found:
        interval = "" if one.interval is None else _range(one.interval)
        table.add_row(
            one.title, f"{one.learning_rate:.3g}", interval, "yes" if one.valid else "no", "; ".join(one.outside)
        )
    place = ", ".join(f"{name} {value}" for name, value in zip(prediction.axes, _values(prediction.axes), strict=True))
    console.show(f"Published laws at {place}", table)


def _show_held_out(held: Sequence["HeldOutCell"]) -> None:
    names = list(held[0].optimum.axes)
    table = console.new_table(*names, "optimum", "predicted", "95 % interval", "octaves", "holds", left=len(names))
    for each in held:
        rate, predicted = console.number(each.optimum.learning_rate), console.number(each.prediction.learning_rate)
        holds = "yes" if each.covered else "no"
        interval = _range(each.prediction.interval)
        table.add_row(*_values(each.optimum.axes), rate, predicted, interval, f"{each.octaves:+.2f}", holds)
    covered = sum(each.covered for each in held)
    console.show(f"Held out: {covered} of {len(held)} intervals hold the optimum", table)


def _values(axes: Mapping[str, float | str]) -> list[str]:
    return [value if isinstance(value, str) else f"{value:g}" for value in axes.values()]


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3g} to {interval[1]:.3g}"
