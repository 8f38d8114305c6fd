"""Logs of a process: structured lines on stderr, those of the standard library (uvicorn, Celery, Alembic) in one form.

Never with a database's URL in them. What is bound by `structlog.contextvars` (a request's id; a shard, its calibration
and the request that created it) stands in every line that is written meanwhile, whoever writes it.
"""

import json
import logging
import sys
from typing import Any, Literal

import orjson
import structlog

LINES_OF_NO_USE = ("alembic", "celery.redirected")  # the first tells of every look at the revision


def configure_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send structlog's and the standard library's lines of at least `level` to stderr."""
    severity = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    traceback: list[structlog.typing.Processor]
    renderer: structlog.typing.Processor
    if form == "json":
        traceback = [structlog.processors.format_exc_info]
        renderer = _json_line
    else:
        traceback = []  # the console's renderer writes them by itself
        # its default shows every local variable of a traceback: slow, and a way for secrets into logs
        renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*shared, *traceback, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *traceback, renderer],
        )
    )
    logging.basicConfig(level=max(severity, logging.INFO), handlers=[handler], force=True)
    for name in LINES_OF_NO_USE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _json_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    """Give one JSON object: orjson takes a tenth of the standard library's time, and every request writes a line."""
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits: a log line may hold anything
        return json.dumps(event, default=str)
