"""`widthwise calibrate`: submit a calibration to a service, watch it, show what it measured."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from widthwise.cli import console, options, specification, words
from widthwise.cli.calibrations import duration, follow
from widthwise.cli.results import show_comparison, show_result
from widthwise.client import Calibration, Client
from widthwise.vocabulary import (
    AlignmentName,
    EpsilonRule,
    FeedForward,
    Form,
    LearningRateRule,
    Optimizer,
    Parameterization,
    Search,
)

_SETTING, _SWEEP, _PROXY, _OUTPUT = options.SETTING, "Sweep", "Proxy", options.OUTPUT
INTERRUPTED = 130  # the shell's code for Ctrl-C: the calibration has not ended, so neither 0 nor 1 fits


def calibrate(
    *,
    spec: Annotated[
        str | None,
        typer.Argument(
            help="JSON file in the shape of POST /v1/calibrations, or - for standard input.", metavar="FILE"
        ),
    ] = None,
    parameterization: Annotated[Parameterization | None, options.parameterization()] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer()] = None,
    alignment: Annotated[
        AlignmentName | None,
        options.alignment("Which exponents to test (full unless given; measured ones go in the file)."),
    ] = None,
    readout_omega: Annotated[float | None, options.readout_omega()] = None,
    form: Annotated[Form | None, options.form()] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Adam's ε at the smallest width.", rich_help_panel=_SETTING)
    ] = None,
    learning_rate_rule: Annotated[
        LearningRateRule | None,
        typer.Option(help="per_layer, or one global rate for every tensor and width.", rich_help_panel=_SETTING),
    ] = None,
    epsilon_rule: Annotated[
        EpsilonRule | None,
        typer.Option(help="per_layer, or a constant ε for every tensor and width.", rich_help_panel=_SETTING),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(help="Widths to train at; an interval needs three.", metavar="N,N,…", rich_help_panel=_SWEEP),
    ] = None,
    learning_rates: Annotated[
        str | None,
        typer.Option(
            help="Base learning rates (a grid for the proxy unless given).", metavar="X,X,…", rich_help_panel=_SWEEP
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each cell.", rich_help_panel=_SWEEP)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of one run.", rich_help_panel=_SWEEP)] = None,
    search: Annotated[
        Search | None,
        typer.Option(
            help="telescope: all learning rates at the smallest width, a few around the prediction at each next one "
            "(unless given); grid: all at every width.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    mesh: Annotated[
        float | None,
        typer.Option(help="Finest spacing of the learning rates around each optimum, octaves.", rich_help_panel=_SWEEP),
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            "--early-stopping/--no-early-stopping",
            help="Whether trials that can't come near the best are stopped.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            help="learning_rate (unless given), gamma, epsilon, alignment, coordinates, horizon.",
            metavar="WORD,WORD,…",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    horizons: Annotated[
        str | None,
        typer.Option(help="Steps of each horizon, where that is measured.", metavar="N,N,…", rich_help_panel=_SWEEP),
    ] = None,
    architecture: Annotated[str | None, options.named("mlp (seconds a run) or transformer.", panel=_PROXY)] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Residual blocks.", rich_help_panel=_PROXY)] = None,
    head_dim: Annotated[int | None, typer.Option(min=1, help="Width of one head.", rich_help_panel=_PROXY)] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=1, help="Bytes of context.", rich_help_panel=_PROXY)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows in one step.", rich_help_panel=_PROXY)] = None,
    dataset: Annotated[
        str | None, options.named("Name of the text, or file:NAME of the workers' folder.", panel=_PROXY)
    ] = None,
    feed_forward: Annotated[
        FeedForward | None, typer.Option(help="gelu or swiglu; the transformer's.", rich_help_panel=_PROXY)
    ] = None,
    qk_norm: Annotated[
        bool | None,
        typer.Option(
            "--qk-norm/--no-qk-norm", help="Norm of queries and keys; the transformer's.", rich_help_panel=_PROXY
        ),
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option(
            "--tied/--no-tied", help="One table for embedding and readout; the transformer's.", rich_help_panel=_PROXY
        ),
    ] = None,
    extend: Annotated[
        str | None,
        options.identifier(
            "Go on from this calibration's trials: with --widths (those to add), --seeds (in all), --mesh."
        ),
    ] = None,
    watch: Annotated[str | None, options.identifier("Submit nothing; watch this calibration again.")] = None,
    cancel: Annotated[str | None, options.identifier("Submit nothing; cancel this calibration.")] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Submit nothing; say how specification, code, device and losses of two calibrations differ.",
            metavar="ID OTHER",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    detach: Annotated[
        bool | None, typer.Option("--detach", help="Submit and leave; don't wait.", rich_help_panel=_OUTPUT)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="Idempotency key: the same key again submits nothing new.", metavar="KEY", rich_help_panel=_OUTPUT
        ),
    ] = None,
    url: Annotated[str | None, options.url()] = None,
    as_json: Annotated[bool, options.as_json("What the service gives, as it is.")] = False,
) -> None:
    """Measure learning-rate exponents on small models, and what else theory assumes; needs a running service.

    Trains small models at several widths, shows the progress, and prints the best learning rate of each width, how it
    moves, and the measured exponents with 95 % intervals beside theory's. Options replace what the file says. Ctrl-C
    leaves the calibration running (exit code 130).

    \b
    Examples:
      widthwise calibrate -p standard -o adam --widths 64,128,256
      widthwise calibrate -p mup -o adam --widths 32,64,128,256 --steps 100 \\
          --learning-rates 0.004,0.008,0.016,0.03,0.06 --search grid
      widthwise calibrate -p mup -o adam --widths 32,64,128 \\
          --measure learning_rate,epsilon,alignment,coordinates
      widthwise calibrate spec.json --detach
      widthwise calibrate --extend ID --widths 512
      widthwise calibrate --watch ID
      widthwise calibrate --cancel ID
      widthwise calibrate --compare ID OTHER
    """
    given = words.given(locals())  # every option that was given, by its name
    specification.check_way(given)
    with Client(url) as client:
        if compare is not None:
            _show_comparison(client.compare(*compare), as_json=as_json)
        elif cancel is not None:
            _show(client.cancel(cancel), as_json=as_json)
        elif watch is not None:
            _watch(client, watch, as_json=as_json)
        else:
            key = key or uuid4().hex
            if extend is not None:
                submitted = client.extend_calibration(extend, specification.extension(given), idempotency_key=key)
            else:
                submitted = client.submit_calibration(specification.specification(given), idempotency_key=key)
            _go_on(client, submitted, detach=bool(detach), as_json=as_json)


def _go_on(client: Client, submitted: Calibration, *, detach: bool, as_json: bool) -> None:
    """Say what was submitted; watch it, unless told to leave or nobody here runs it."""
    console.say(f"Calibration {submitted['id']}: {_cost(submitted)}.")
    if detach or submitted["spec"].get("runner") == "external":
        _show(submitted, as_json=as_json)
    else:
        _watch(client, submitted["id"], as_json=as_json)


def _watch(client: Client, calibration_id: str, *, as_json: bool) -> None:
    try:
        calibration = follow(client, calibration_id, console.stderr())
    except KeyboardInterrupt:
        again = f"widthwise calibrate --watch {calibration_id} --url {client.url}"
        console.say(f"Left. The calibration goes on; watch it again: {again}")
        console.say(f"or stop it: {again.replace('--watch', '--cancel')}")
        raise typer.Exit(INTERRUPTED) from None
    _show(calibration, as_json=as_json)
    if calibration["state"] != "succeeded":
        console.fail(f"the calibration {calibration['state']}: {calibration['reason'] or 'on request'}")
        raise typer.Exit(1)


def _show(calibration: Calibration, *, as_json: bool) -> None:
    if as_json:
        console.print_json(calibration)
    elif calibration["result"] is not None:
        show_result(calibration)
        if calibration["result"]["exponents"]:
            console.say(f"Use them: widthwise transfer FILE --calibration {calibration['id']}")
    else:
        progress = calibration["progress"]
        done = f"{progress['trials_done']}/{progress['trials_total']}"
        console.stdout().print(f"{calibration['id']}  {calibration['state']}  {done} trials", soft_wrap=True)


def _show_comparison(comparison: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        console.print_json(comparison)
    else:
        show_comparison(comparison)


def _cost(calibration: Calibration) -> str:
    estimate = calibration["estimate"]
    seconds = estimate.get("seconds")
    time = "" if seconds is None else f", about {duration(seconds)} with {estimate['workers']} workers"
    return (
        f"{estimate['trials']} trials in {estimate['shards']} shards, {estimate['training_steps']} steps, "
        f"about {estimate['flops']:.1e} floating-point operations{time}"
    )
