"""`widthwise calibrate`: submit a calibration to a service, watch it, show what it measured."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from widthwise.cli import console, words
from widthwise.cli.calibrations import follow, show_result
from widthwise.cli.words import AlignmentName
from widthwise.client import Calibration, Client
from widthwise.vocabulary import Form, Optimizer, Parameterization

_SETTING, _SWEEP, _PROXY, _OUTPUT = "Setting", "Sweep", "Proxy", "Service and output"
INTERRUPTED = 130  # the shell's code for Ctrl-C: the calibration has not ended, so neither 0 nor 1 fits


def calibrate(
    *,
    spec: Annotated[
        str | None,
        typer.Argument(
            help="JSON file in the shape of POST /v1/calibrations, or - for standard input.", metavar="FILE"
        ),
    ] = None,
    parameterization: Annotated[
        Parameterization | None,
        typer.Option(
            "--parameterization", "-p", help="How init and multipliers depend on width.", rich_help_panel=_SETTING
        ),
    ] = None,
    optimizer: Annotated[
        Optimizer | None, typer.Option("--optimizer", "-o", help="What takes the step.", rich_help_panel=_SETTING)
    ] = None,
    alignment: Annotated[
        AlignmentName | None,
        typer.Option(
            help="Which exponents to test (full unless given; measured ones go in the file).", rich_help_panel=_SETTING
        ),
    ] = None,
    readout_omega: Annotated[
        float | None, typer.Option(help="ω of the readout, 0.5 to 1.", rich_help_panel=_SETTING)
    ] = None,
    form: Annotated[Form | None, typer.Option(help="Which of muP's published forms.", rich_help_panel=_SETTING)] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Adam's ε at the smallest width.", rich_help_panel=_SETTING)
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
    architecture: Annotated[
        str | None, typer.Option(help="mlp (seconds a run) or transformer.", metavar="NAME", rich_help_panel=_PROXY)
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Residual blocks.", rich_help_panel=_PROXY)] = None,
    head_dim: Annotated[int | None, typer.Option(min=1, help="Width of one head.", rich_help_panel=_PROXY)] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=1, help="Bytes of context.", rich_help_panel=_PROXY)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows in one step.", rich_help_panel=_PROXY)] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the text.", metavar="NAME", rich_help_panel=_PROXY)
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(help="Submit nothing; watch this calibration again.", metavar="ID", rich_help_panel=_OUTPUT),
    ] = None,
    cancel: Annotated[
        str | None,
        typer.Option(help="Submit nothing; cancel this calibration.", metavar="ID", rich_help_panel=_OUTPUT),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Submit and leave; don't wait.", rich_help_panel=_OUTPUT)
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            help="Idempotency key: the same key again submits nothing new.", metavar="KEY", rich_help_panel=_OUTPUT
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="The service (http://127.0.0.1:8000 unless given).", envvar="WIDTHWISE_URL", rich_help_panel=_OUTPUT
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The calibration as the service gives it.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Measure learning-rate exponents on small models; needs a running service.

    Trains every learning rate at every width, shows the progress, and prints the best learning rate of each width and
    the measured exponents with 95 % intervals beside theory's. Options replace what the file says. Ctrl-C leaves the
    calibration running (exit code 130).

    \b
    Examples:
      widthwise calibrate -p standard -o adam --widths 64,128,256
      widthwise calibrate -p mup -o adam --widths 32,64,128,256 --steps 100 \\
          --learning-rates 0.004,0.008,0.016,0.03,0.06
      widthwise calibrate spec.json --detach
      widthwise calibrate --watch ID
      widthwise calibrate --cancel ID
    """
    if sum(value is not None for value in (spec, watch, cancel)) > 1:
        raise typer.BadParameter("give one of FILE, --watch and --cancel", param_hint="FILE")
    with Client(url) as client:
        if cancel is not None:
            _show(client.cancel(cancel), as_json=as_json)
            return
        if watch is None:
            asked = words.read_request(spec) if spec is not None else {}
            setting = {
                "parameterization": parameterization,
                "optimizer": optimizer,
                "alignment": alignment,
                "readout_omega": readout_omega,
                "form": form,
                "epsilon": epsilon,
                "widths": words.integers(widths, "--widths"),
                "learning_rates": words.numbers(learning_rates, "--learning-rates"),
                "seeds": seeds,
                "steps": steps,
            }
            proxy = {
                "architecture": architecture,
                "depth": depth,
                "head_dim": head_dim,
                "sequence_length": sequence_length,
                "batch_size": batch_size,
                "dataset": dataset,
            }
            if spec is None:
                words.require({"--parameterization": parameterization, "--optimizer": optimizer, "--widths": widths})
            _merge(asked, setting, proxy)
            calibration = client.submit_calibration(asked, idempotency_key=key or uuid4().hex)
            console.say(f"Calibration {calibration['id']}: {_cost(calibration)}.")
            if detach or calibration["spec"].get("runner") == "external":
                _show(calibration, as_json=as_json)
                return
            watch = calibration["id"]
        _watch(client, watch, as_json=as_json)


def _merge(asked: dict[str, Any], setting: dict[str, Any], proxy: dict[str, Any]) -> None:
    """Put the options that were given into a specification."""
    asked |= words.given(setting)
    given = words.given(proxy)
    if given:
        before = asked.get("proxy")
        before = before if isinstance(before, dict) else {}
        asked["proxy"] = {"architecture": "mlp"} | before | given


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


def _cost(calibration: Calibration) -> str:
    estimate = calibration["estimate"]
    return (
        f"{estimate['trials']} trials in {estimate['shards']} shards, {estimate['training_steps']} steps, "
        f"about {estimate['flops']:.1e} floating-point operations"
    )
