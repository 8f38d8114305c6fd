"""`widthwise work`: more workers for a service, and their health check."""

import socket
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from widthwise.cli import console
from widthwise.cli.installation import needs, require_package
from widthwise.cli.options import DataDir
from widthwise.errors import InvalidInputError, WidthwiseError

if TYPE_CHECKING:
    from service.settings import Settings


class UnhealthyError(WidthwiseError):
    """No worker on this host reports."""


def work(
    *,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Number of worker processes, one core each.")] = 1,
    gpus: Annotated[str | None, typer.Option(help='Run one worker process per GPU: numbers (0,1) or "all".')] = None,
    healthy: Annotated[
        bool, typer.Option("--healthy", help="Only check: exit with 0 if a worker on this host reports, else 1.")
    ] = False,
) -> None:
    """Run workers in the foreground. They claim shards from the database that the WIDTHWISE_* settings name.

    `widthwise serve` starts its own workers; this adds more from another terminal, or from another machine that reaches
    the same Postgres. With WIDTHWISE_REDIS_URL, that broker wakes them; without it they poll. On Ctrl-C or SIGTERM, a
    shard in progress is returned to the queue.

    A worker is healthy while its reports, one every 10 seconds, reach the database. --healthy is meant as the health
    check of a container, since each container has its own host name.

    \b
    Examples:
      widthwise work --data-dir ~/widthwise
      WIDTHWISE_DATABASE_URL=postgresql://… WIDTHWISE_REDIS_URL=redis://… widthwise work --workers 8
      widthwise work --gpus all
      widthwise work --healthy
    """
    with needs("worker"):
        from service.observability.structured_logs import configure_logging
        from service.settings import load_settings
        from workers.gpus import choose_gpus
        from workers.stopping import stop_on_signals

    settings = load_settings(data_dir=data_dir)
    if healthy:
        _check_health(settings)
        return
    require_package("jax", "worker")
    if gpus is not None and workers > 1:
        raise InvalidInputError(
            "--workers is for CPUs, and a GPU has one worker; give only one of --workers and --gpus.", field="--gpus"
        )
    chosen = () if gpus is None else choose_gpus(gpus)
    if chosen:
        _require_gpu_backend()
    configure_logging(settings.log_level, settings.log_format)
    stop = threading.Event()
    stop_on_signals(stop)
    _run(settings, stop, workers, chosen)


def _run(settings: "Settings", stop: threading.Event, count: int, gpus: tuple[str, ...]) -> None:
    """Run one worker in this process, or several in separate processes, until told to stop."""
    from workers.identity import machine_id
    from workers.node import run_worker
    from workers.pool import WorkerPool
    from workers.stopping import end_in_time

    if gpus or count > 1:
        where = f"GPU {', '.join(gpus)}" if gpus else f"{count} processes"
        console.say(f"Workers on {where} are looking for work; Ctrl-C stops them.")
        with WorkerPool(settings, count=count, gpus=gpus):
            stop.wait()
        return
    end_in_time(stop)
    worker_id = machine_id()
    console.say(f"Worker {worker_id} is looking for work; Ctrl-C stops it.")
    run_worker(settings, worker_id, stop)


def _require_gpu_backend() -> None:
    """Refuse GPUs that JAX can't use, since every child would fail."""
    from importlib.metadata import entry_points

    if not entry_points(group="jax_plugins"):
        raise WidthwiseError("--gpus needs JAX with its CUDA plugin, which is not installed: pip install 'jax[cuda12]'")


def _check_health(settings: "Settings") -> None:
    from service.store import WorkerState, open_store

    store = open_store(settings.database_url)
    try:
        here = [worker for worker in store.workers.all() if worker.host == socket.gethostname()]
    finally:
        store.close()
    reporting = [worker for worker in here if worker.state in (WorkerState.IDLE, WorkerState.RUNNING)]
    if not reporting:
        last = f"; the last report came {here[0].seconds_since_seen:.0f} s ago" if here else ""
        raise UnhealthyError(f"no worker on host {socket.gethostname()!r} reports{last}; check its log")
    for worker in reporting:
        console.say(f"{worker.id}: {worker.state.value}, reported {worker.seconds_since_seen:.0f} s ago")
