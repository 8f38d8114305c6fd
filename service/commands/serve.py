"""`widthwise serve`: the whole service on one machine, or only the API if its workers run elsewhere."""

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

#: For requests in flight when the service stops (chosen): they take milliseconds, and a page's open stream resumes
#: without loss, so it need not delay Ctrl-C.
GRACEFUL_SECONDS = 2


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (WIDTHWISE_HOST; 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one (WIDTHWISE_PORT; 8000).")
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Local worker processes (WIDTHWISE_WORKERS; one for each core, none with a broker)."),
    ] = None,
) -> None:
    """Run the web page, the API and the workers until Ctrl-C or SIGTERM.

    By default nothing else is needed: the database is a SQLite file in the data directory, upgraded at startup. Only
    this machine can reach the service; with another --host it requires API keys (`widthwise keys`). To use another
    database, set WIDTHWISE_DATABASE_URL and run `widthwise migrate`. With WIDTHWISE_REDIS_URL, `serve` runs only the
    API, and the broker wakes each `widthwise work`.

    \b
    Examples:
      widthwise serve
      widthwise serve --port 8080 --data-dir ~/widthwise --workers 4
      widthwise serve --workers 0          the API alone
    """
    with needs("service"):
        import uvicorn

        from service.app import create_app
        from service.commands.local_workers import LocalWorkers
        from service.garbage_collection import collect_rarely
        from service.observability.structured_logs import configure_logging
        from service.settings import load_settings
        from service.store import upgrade

    settings = load_settings(host=host, port=port, data_dir=data_dir, workers=workers)
    if settings.workers:
        require_package("jax", "worker")  # every worker's child would fail without it
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
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs two lines at each check of the schema
        logging.getLogger("uvicorn.error").addFilter(_no_cancelled_stream)
        if settings.embedded:
            upgrade(settings.database_url)  # before the workers check it
        address = _address(settings.host, listener.getsockname()[1])
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            http=app.state.connections.protocol,
            ws="none",  # no route uses it
            log_config=None,  # ours, above
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            forwarded_allow_ips=settings.trusted_proxies,  # so that other clients can't claim an address in a header
            lifespan="on",
        )
        server = _server(config, lambda: _announce(settings, address))
        collect_rarely()
        with _own_signals(server), LocalWorkers(settings):
            server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)  # uvicorn has logged the reason


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

    A signal that arrives before uvicorn installs its handlers ends the server as soon as it has started. uvicorn stops
    on later signals, restores the previous handlers (these) and raises the signal again.
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
    """Drop uvicorn's log line about a stream that it cut while stopping: nothing is wrong."""
    cut = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut and "timeout graceful shutdown exceeded" not in record.getMessage()


def _make_data_dir(settings: "Settings") -> None:
    try:
        # readable only by its user, as the store does with the database's folder
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"the data directory {settings.data_dir} can't be created: {error.strerror}; choose another with --data-dir"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; InvalidInputError, with advice, if the port is taken or the host unknown."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as if_it_fails:
            listener = if_it_fails.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # with SO_REUSEADDR two processes may bind one port, but only one may listen on it
            if_it_fails.pop_all()
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use; stop the process that uses it, or choose another with --port",
            errno.EACCES: f"this user may not listen on port {port}; choose one above 1023 with --port",
        }
        reason = reasons.get(error.errno or 0, f"can't listen on {host}:{port}: {error.strerror}")
        raise InvalidInputError(reason, field="port") from None
    return listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(settings: "Settings", address: str) -> None:
    """Print where everything is."""
    embedded = settings.embedded
    database = settings.database_url.removeprefix("sqlite:///") if embedded else "the one in WIDTHWISE_DATABASE_URL"
    count = settings.workers
    workers = f"{count} local process{'' if count == 1 else 'es'}"
    if settings.redis_url is not None:
        workers = f"{workers if count else 'none here'}; the broker wakes each `widthwise work`"
    lines = (
        f"Widthwise {VERSION} serves at {address}",
        f"  page      {address}/",
        f"  docs      {address}/docs",
        f"  guide     {address}/guide/",
        f"  API       {address}/v1/transfers, /v1/calibrations, /v1/exponents, …",
        f"  database  {database}",
        f"  workers   {workers}",
        *_about_keys(settings),
        "Ctrl-C stops it.",
    )
    out = console.stdout()
    out.print("\n".join(lines), soft_wrap=True, markup=False)  # in one write: a reader of the first line may stop us
    out.file.flush()


def _about_keys(settings: "Settings") -> list[str]:
    """Return how to create the first API key, if keys are required and there are none yet."""
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
        some = True  # the database does not answer or is not migrated; /readyz reports that
    if some:
        return ["  keys      required"]
    where = f" --data-dir {shlex.quote(str(settings.data_dir))}" if settings.embedded else ""
    return [f"  keys      required, none is valid yet: widthwise keys create --owner NAME --scope admin{where}"]
