"""Watches a submitted calibration until it has ended, and shows its results."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import typer

from widthwise.cli import console
from widthwise.cli.progress import follow
from widthwise.cli.results import show_result
from widthwise.client import Calibration, Client, EstimatedCalibration
from widthwise.client.progress import counted, duration

INTERRUPTED = 130  # the shell's code for Ctrl-C: the calibration has not ended, so neither 0 nor 1 fits


def submit_and_watch(
    send: Callable[[Client, str], Calibration], *, url: str | None, key: str | None, detach: bool, as_json: bool
) -> None:
    """Submit a calibration and print its cost; then watch it, unless detached or run by an external runner.

    send: submits it to the client's service under an idempotency key (a new one unless `key` is given).
    """
    with Client(url) as client:
        submitted = send(client, key or uuid4().hex)
        console.say(f"Calibration {submitted['id']}: {_cost(submitted)}.")
        if detach or submitted["spec"].get("runner") == "external":
            show_state(submitted, as_json=as_json)
        else:
            watch_to_its_end(client, submitted["id"], as_json=as_json)


def show_estimate(asked: Mapping[str, Any], *, url: str | None, as_json: bool) -> None:
    """Print what a calibration would take, without submitting it."""
    with Client(url) as client:
        found = client.estimate_calibration(asked)
    if as_json:
        console.print_json(found)
    else:
        console.stdout().print(f"{_cost(found)}.", soft_wrap=True, markup=False)


def watch_to_its_end(client: Client, calibration_id: str, *, as_json: bool) -> None:
    """Show the progress until the calibration has ended, then its results; exit code 1 if it has not succeeded."""
    try:
        calibration = follow(client, calibration_id, console.stderr())
    except KeyboardInterrupt:
        rest = f"{calibration_id} --url {client.url}"
        console.say(
            f"Detached; the calibration is still running. Watch it again with: widthwise calibrate watch {rest}"
        )
        console.say(f"or stop it with: widthwise calibrate cancel {rest}")
        raise typer.Exit(INTERRUPTED) from None
    show_state(calibration, as_json=as_json)
    if calibration["state"] != "succeeded":
        console.fail(f"the calibration {calibration['state']}: {calibration['reason'] or 'on request'}")
        raise typer.Exit(1)


def show_state(calibration: Calibration, *, as_json: bool) -> None:
    """Print a calibration's results, or its progress."""
    if as_json:
        console.print_json(calibration)
    elif calibration["result"] is not None:
        show_result(calibration)
        if calibration["result"]["exponents"]:
            console.say(f"Use them: widthwise transfer FILE --calibration {calibration['id']}")
    else:
        progress = calibration["progress"]
        done = counted(progress["trials_done"], progress["trials_total"])
        name = "" if calibration.get("name") is None else f"  {calibration['name']}"
        console.stdout().print(
            f"{calibration['id']}{name}  {calibration['state']}  {done}", soft_wrap=True, markup=False
        )


def _cost(found: Calibration | EstimatedCalibration) -> str:
    estimate = found["estimate"]
    seconds = estimate.get("seconds")
    time = "" if seconds is None else f", about {duration(seconds)} with {estimate['workers']} workers"
    most = "at most " if estimate.get("upper_bound") else ""
    return (
        f"{most}{estimate['trials']} trials in {estimate['shards']} shards, {estimate['training_steps']} steps, "
        f"about {estimate['flops']:.1e} floating-point operations{time}"
    )
