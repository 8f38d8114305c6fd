"""Logs of an API or worker process: structured lines on stderr.

Lines from the standard library's logging (uvicorn, Celery, Alembic) have the same form, and no line contains a
database's URL. Whatever is bound by `structlog.contextvars` (a request's id; a shard, its calibration and the request
that created it) appears in every line written meanwhile, whoever writes it.
"""

import json
import logging
import sys
from typing import Any, Literal

import orjson
import structlog

LINES_OF_NO_USE = ("alembic", "celery.redirected")  # the first logs every check of the revision


def configure_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send structlog's and the standard library's lines of at least `level` to stderr."""
    severity = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = _json_line if form == "json" else _console_line
    # plain tracebacks: the values of local variables could leak secrets into logs
    ending: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=lambda *_: structlog.WriteLogger(_STDERR),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_STDERR)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(level=max(severity, logging.INFO), handlers=[handler], force=True)
    for name in LINES_OF_NO_USE:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Stderr:
    """Writes to whatever sys.stderr is at that moment: it may have been replaced, and the old one closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR = _Stderr()


def _json_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    """Return one JSON object, by orjson: every request writes a line, and it takes a tenth of json's time."""
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits: a log line may contain anything
        return json.dumps(event, default=str)


def _console_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    """Return a line for people; structlog's own renderer takes 150 µs (measured), half of a request's time."""
    traceback = event.pop("exception", None)
    head = f"{event.pop('timestamp', '')} [{event.pop('level', ''):<9}] {event.pop('event', '')!s:<30}"
    line = " ".join([head, *(f"{name}={_shown(value)}" for name, value in event.items())])
    return line if traceback is None else f"{line}\n{traceback}"


def _shown(value: Any) -> str:
    """A value as it is, or quoted if it could be read as several values or as another line."""
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)
