"""Logs of a worker process: structured lines on stderr, never with a database's URL in them."""

import logging
import sys
from typing import Literal

import structlog


def configure_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send structlog's and the standard library's lines of at least `level` to stderr."""
    severity = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        # its default shows every local variable of a traceback: slow, and a way for secrets into logs
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    # the console's renderer writes tracebacks by itself
    traceback = [structlog.processors.format_exc_info] if form == "json" else []
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,  # a shard's lines say whose they are, the store's too
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *traceback, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # the store and Alembic use the standard library's logging; render their lines alike
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *traceback,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=max(severity, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the revision
