"""`widthwise serve`: the whole service on one machine, or the API of one that has workers elsewhere."""

import asyncio
import errno
import logging
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from widthwise.cli import console
from widthwise.cli.installation import needs, require_package
from widthwise.cli.options import DataDir
from widthwise.errors import InvalidInputError, WidthwiseError
from widthwise.version import VERSION

if TYPE_CHECKING:
    from service.settings import Settings

#: For requests in flight when the service stops: they take milliseconds, and a page's open stream resumes without
#: loss, so it need not hold up Ctrl-C (chosen).
GRACEFUL_SECONDS = 2


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (WIDTHWISE_HOST; 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, 0 for a free one (WIDTHWISE_PORT; 8000).")
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Local worker processes (WIDTHWISE_WORKERS; one for each core, none with a broker)."),
    ] = None,
) -> None:
    """Serve the page, the API and its workers until Ctrl-C or SIGTERM.

    Needs nothing else: the database is a SQLite file in the data directory, brought up to date first. Only this
    machine can reach it; with another --host it asks for API keys (`widthwise keys`). WIDTHWISE_DATABASE_URL names
    another database, which `widthwise migrate` brings up to date.
    With WIDTHWISE_REDIS_URL this is the API alone, and each `widthwise work` is woken through that broker.

    \b
    Examples:
      widthwise serve
      widthwise serve --port 8080 --data-dir ~/widthwise --workers 4
      widthwise serve --workers 0          the API alone
    """
    with needs("service"):
        import uvicorn

        from service.app import create_app
        from service.collector import calm_collector
        from service.commands.local_workers import LocalWorkers
        from service.observability.structured_logs import configure_logging
        from service.settings import load_settings
        from service.store.database.schema import upgrade

    settings = load_settings(host=host, port=port, data_dir=data_dir, workers=workers)
    if settings.workers:
        require_package("jax", "worker")  # each worker's child would fail without it, one by one
    _make_data_dir(settings)
    with _listen(settings.host, settings.port) as listener:
        configure_logging(settings.log_level, settings.log_format)
        if settings.lacks_proxy:
            logging.getLogger(__name__).warning(
                "%s is reachable from other machines without a proxy: keys travel in the clear, and slow clients are "
                "not cut off. Put a proxy with TLS in front (docker-compose.yml has one) and name its address in "
                "WIDTHWISE_TRUSTED_PROXIES.",
                settings.host,
            )
        logging.getLogger("alembic").setLevel(logging.WARNING)  # two lines at each look at the schema
        logging.getLogger("uvicorn.error").addFilter(_no_cancelled_stream)
        if settings.embedded:
            upgrade(settings.database_url)  # before the workers look at it
        address = _address(settings.host, listener.getsockname()[1])
        config = uvicorn.Config(
            create_app(settings),
            ws="none",  # no route speaks it
            log_config=None,  # ours, above
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            forwarded_allow_ips=settings.trusted_proxies,  # others can't claim another address by a header
            lifespan="on",
        )
        server = _server(config, lambda: _announce(settings, address))
        calm_collector()
        with _own_signals(server), LocalWorkers(settings):
            server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)  # uvicorn has logged why


def _server(config: Any, announce: Callable[[], None]) -> Any:
    """Return a uvicorn server that calls `announce` once it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and not self.should_exit:
                await asyncio.to_thread(announce)

    return Server(config)


@contextmanager
def _own_signals(server: Any) -> Iterator[None]:
    """Keep SIGTERM and SIGINT from ending the process before its workers are stopped.

    One that comes before uvicorn looks for them ends the server as soon as it has started. uvicorn stops on those that
    come later, puts back the handlers that it found, and raises the signal again: it finds these.
    """

    def end(_number: int, _frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _no_cancelled_stream(record: logging.LogRecord) -> bool:
    """Keep what uvicorn says of a page's stream that it cut when it stopped out of the log: nothing is wrong."""
    cut = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut and "timeout graceful shutdown exceeded" not in record.getMessage()


def _make_data_dir(settings: "Settings") -> None:
    try:
        # for its user alone, as the store makes the database's folder
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"the data directory {settings.data_dir} can't be made: {error.strerror}; give another with --data-dir"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; InvalidInputError that says what to do where the port is taken or the host unknown."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as if_it_fails:
            listener = if_it_fails.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # with SO_REUSEADDR two processes may bind one port, but one alone may listen on it
            if_it_fails.pop_all()
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use; stop what listens there, or give another with --port",
            errno.EACCES: f"port {port} is not allowed to this user; give one above 1023 with --port",
        }
        reason = reasons.get(error.errno or 0, f"can't listen on {host}:{port}: {error.strerror}")
        raise InvalidInputError(reason, field="port") from None
    return listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(settings: "Settings", address: str) -> None:
    """Say where everything is, on stdout."""
    embedded = settings.embedded
    database = settings.database_url.removeprefix("sqlite:///") if embedded else "the one in WIDTHWISE_DATABASE_URL"
    count = settings.workers
    workers = f"{count} local process{'' if count == 1 else 'es'}"
    if settings.redis_url is not None:
        workers = f"{workers if count else 'none here'}; the broker wakes those of `widthwise work`"
    lines = (
        f"Widthwise {VERSION} serves at {address}",
        f"  page      {address}/",
        f"  docs      {address}/docs",
        f"  API       {address}/v1/transfers, /v1/calibrations, /v1/exponents, …",
        f"  database  {database}",
        f"  workers   {workers}",
        *_about_keys(settings),
        "Ctrl-C stops it.",
    )
    out = console.stdout()
    out.print("\n".join(lines), soft_wrap=True, markup=False)  # at once: who reads the first line may stop us
    out.file.flush()


def _about_keys(settings: "Settings") -> list[str]:
    """Say how the first API key is made, where one is needed and there is none."""
    if not settings.asks_for_keys:
        return []
    from service.store import open_store

    try:
        store = open_store(settings.database_url)
        try:
            store.check_ready()
            some = any(key.valid for key in store.keys.all())
        finally:
            store.close()
    except WidthwiseError:
        some = True  # the database does not answer or is not migrated: /readyz says so, and this is about keys
    if some:
        return ["  keys      asked for"]
    where = f" --data-dir {shlex.quote(str(settings.data_dir))}" if settings.embedded else ""
    return [f"  keys      asked for, and none is valid yet: widthwise keys create --owner NAME --scope admin{where}"]
