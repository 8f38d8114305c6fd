"""`widthwise demo`: the whole service in a minute or two, from a tuned GPT-2 small to every tensor of GPT-2 XL."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from widthwise.cli import console, words
from widthwise.cli.local_service import local_service
from widthwise.cli.plans import show_plan
from widthwise.cli.progress import follow
from widthwise.cli.results import show_result
from widthwise.cli.watching import INTERRUPTED
from widthwise.client import Client
from widthwise.errors import WidthwiseError

REQUEST = Path(__file__).parents[2] / "examples" / "gpt2_small_to_xl.json"
WORKERS = 2  # the two cores that the demo is measured on
#: Small enough for a minute on two cores, large enough to show the theory: the optimum lies inside this grid at every
#: width (measured: `widthwise demo`).
SWEEP: Mapping[str, Any] = {
    "widths": [32, 64, 128, 256],
    "learning_rates": [0.004, 0.008, 0.016, 0.032, 0.064, 0.128],
    "seeds": 2,
    "steps": 100,
    "search": "grid",  # complete curves, for the plot; the mesh is the grid's spacing, so no trial is added
    "mesh": 1.0,
    "proxy": {"architecture": "mlp"},
}


def demo(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the results in this directory (default: a temporary one).")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the service running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Run an end-to-end demo: start a service, transfer GPT-2 small → XL from theory, calibrate, transfer again.

    The second transfer uses the measured exponents. The service is real, with two workers on a free port of this
    machine, and is stopped at the end. The demo takes a minute or two on two cores; nothing is downloaded.

    \b
    Examples:
      widthwise demo
      widthwise demo --keep
      widthwise demo --data-dir widthwise-data       then: widthwise serve
    """
    request = read_example(REQUEST)
    started = time.monotonic()
    out = console.stdout()
    try:
        with _directory(data_dir) as directory:
            _head(out, "1. Start the service", "widthwise serve: SQLite, two local workers, this machine only")
            with local_service(directory, workers=WORKERS) as client:
                _tell(out, f"page {client.url}/   docs {client.url}/docs")
                tour(client, out, request)
                _tell(out, f"\nThat took {time.monotonic() - started:.0f} s.")
                if keep:
                    _tell(out, f"Still running: page {client.url}/   docs {client.url}/docs   Ctrl-C stops it.")
                    while True:
                        time.sleep(3600)
            _close(out, data_dir)
    except KeyboardInterrupt:
        console.say("\nStopped the demo and its service.")
        raise typer.Exit(0 if keep else INTERRUPTED) from None


def read_example(path: Path) -> Mapping[str, Any]:
    """Read the request that the demo transfers; WidthwiseError if it is installed without the repository."""
    if not path.exists():
        raise WidthwiseError(f"the demo needs {path}, which is only in the repository; run it from a checkout")
    return words.read_request(str(path))


def tour(client: Client, out: Console, request: Mapping[str, Any]) -> None:
    """Transfer, calibrate and transfer again with the measured exponents, explaining each step."""
    base, target = request["base"], request["target"]
    _head(
        out,
        "2. Transfer from theory",
        f"POST /v1/transfers: GPT-2 small (width {base['width']}) is tuned; what does GPT-2 XL "
        f"({target['width']}) need, for its real shapes?",
    )
    theory = client.transfer(request).to_dict()
    # Gains and biases are most of the lines and all alike; the row `vector` covers them.
    matrices = [tensor for tensor in theory["tensors"] if tensor["role"] not in ("vector", "scalar")]
    show_plan({**theory, "tensors": matrices})
    for warning in theory["warnings"]:
        _tell(out, f"Warning ({warning['code']}): {warning['message']}")

    words_of_both = ("parameterization", "optimizer", "alignment", "readout_omega", "form")
    setting = {name: request[name] for name in words_of_both if name in request}
    calibration = client.submit_calibration({**setting, **SWEEP})
    trials = calibration["estimate"]["trials"]
    widths = ", ".join(map(str, SWEEP["widths"]))
    _head(
        out,
        "3. Measure",
        f"POST /v1/calibrations: {trials} byte-level language models of widths {widths}, trained on the text "
        "of Python's own documentation",
    )
    calibration = follow(client, calibration["id"], out)
    if calibration["state"] != "succeeded":
        raise WidthwiseError(f"the calibration {calibration['state']}: {calibration['reason'] or 'on request'}")
    _tell(out, "")
    show_result(calibration)
    if calibration["result"] is None or not calibration["result"]["exponents"]:
        raise WidthwiseError(
            "the calibration found no exponent, because its optima are not inside the grid of learning rates"
        )

    _head(
        out,
        "4. Transfer again, with the measured exponents",
        f'POST /v1/transfers with "exponents": {{"source": "calibration", "id": "{calibration["id"]}"}}',
    )
    measured = client.transfer({**request, "exponents": {"source": "calibration", "id": calibration["id"]}}).to_dict()
    _compare(theory, measured, ratio=target["width"] / base["width"])
    console.warn([warning for warning in measured["warnings"] if warning not in theory["warnings"]])


def _compare(theory: Mapping[str, Any], measured: Mapping[str, Any], *, ratio: float) -> None:
    """Print the learning rates of both plans side by side, with the interval from the measured exponents."""
    estimates = {
        estimate["role"]: estimate
        for estimate in measured["provenance"]["exponents"]["estimates"]
        if estimate["quantity"] == "learning_rate"
    }
    table = console.new_table("role", "at the base", "from theory", "measured", "95 % interval")
    for before, after in zip(theory["layers"], measured["layers"], strict=True):
        quantity, estimate = after["learning_rate"], estimates.get(after["role"])
        value, base = quantity["value"], quantity["value"] / quantity["multiplier"]
        ends = "–"
        if estimate is not None and estimate["interval"] is not None:
            # the larger the exponent, the smaller the learning rate
            high, low = (value * ratio ** (estimate["value"] - end) for end in estimate["interval"])
            ends = f"{low:.3g} to {high:.3g}"
        table.add_row(
            after["role"],
            console.number(base),
            console.number(before["learning_rate"]["value"]),
            console.number(value),
            ends,
        )
    console.show("Learning rates of the target", table)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="widthwise-demo-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def _close(out: Console, data_dir: Path | None) -> None:
    if data_dir is None:
        _tell(
            out, "The service is stopped and its data deleted. To keep both: widthwise demo --keep, or widthwise serve."
        )
        return
    serve = "make serve" if data_dir == Path("widthwise-data") else f"widthwise serve --data-dir {data_dir}"
    _tell(out, f"The service is stopped; its data is in {data_dir}. Start it again: {serve}")
    _tell(out, "Then open http://127.0.0.1:8000/ for the page and http://127.0.0.1:8000/docs for the docs")


def _head(out: Console, title: str, text: str) -> None:
    out.print(f"\n[bold]{title}[/]")
    _tell(out, text)


def _tell(out: Console, text: str) -> None:
    out.print(text, soft_wrap=True, markup=False)
    out.file.flush()
