"""`widthwise fleet`: the workers that run calibrations."""

from typing import Annotated

import typer

from widthwise.cli import console, options
from widthwise.client import Client
from widthwise.client.progress import duration


def fleet(
    *,
    every: Annotated[bool, typer.Option("--all", help="Include stopped workers.")] = False,
    url: Annotated[str | None, options.url()] = None,
    as_json: Annotated[bool, options.as_json("Print a list of the service's JSON objects.")] = False,
) -> None:
    """List the workers with their devices and current work, the most recently seen first.

    A worker that has not reported for a minute is stale; another worker gets its shard once the lease ends.

    \b
    Examples:
      widthwise fleet
      widthwise fleet --all --json
    """
    with Client(url) as client:
        found = [worker for worker in client.workers() if every or worker["state"] != "stopped"]
    if as_json:
        console.print_json(found)
        return
    if not found:
        console.say("No workers have reported yet. Start one: widthwise work --help")
        return
    table = console.new_table("worker", "state", "device", "runs", "last seen", left=4)
    for worker in found:
        seen = f"{duration(worker['seconds_since_seen'])} ago"
        table.add_row(worker["id"], worker["state"], worker["device"] or "", worker["calibration_id"] or "", seen)
    console.show(f"{len(found)} worker{'' if len(found) == 1 else 's'}", table)
