"""Logs: one line a step, as JSON for machines or in columns for people; secrets and control characters never pass.

A log line is made in this order: context is bound, an error is put into words, values under telling names are struck
out, the line is rendered, and last of all every registered secret and every control character is taken out of the
finished text. Nothing is written round that last step: what libraries say (`logging`, warnings) goes through it, too.
"""

import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from grodtd.monitoring.redaction import Secrets, one_line

Logger = FilteringBoundLogger
FIRST = ("bracket", "symbol", "order", "sequence")
"""Context that a console line names before everything else."""


def make_logger(stream: TextIO, style: str, secrets: Secrets, *, level: int = logging.INFO) -> Logger:
    """Return a logger that writes to `stream` in `style`, json or console. Nothing global changes."""
    logger: Logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[*_processors(secrets), _Line(style, secrets)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


def capture_libraries(stream: TextIO, style: str, secrets: Secrets, *, level: int = logging.WARNING) -> None:
    """Send what libraries log and warn of through the same formatter, for the whole process."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_processors(secrets)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Line(style, secrets)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)


def style_for(stream: TextIO, wanted: str | None) -> str:
    """Return the style asked for; else console where a person reads along, json where a program does."""
    return wanted or ("console" if stream.isatty() else "json")


def _processors(secrets: Secrets) -> list[Processor]:
    def strike_keys(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {key: secrets.strike_keys(value, key) for key, value in event.items()}

    return [structlog.processors.add_log_level, _stamp, _error_in_words, strike_keys]


def _stamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _error_in_words(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Turn `exc_info` into `error`, a sentence, and `trace`, where it came from, line by line."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}"
        event["trace"] = "".join(traceback.format_exception(error))
    return event


class _Line:
    """The renderer, and behind it, in the same breath, what keeps secrets and control characters out."""

    def __init__(self, style: str, secrets: Secrets) -> None:
        if style not in ("json", "console"):
            raise ValueError(f"a log is written as json or console, not {style!r}")
        self._json = structlog.processors.JSONRenderer(sort_keys=False, default=str) if style == "json" else None
        self._secrets = secrets

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        if self._json is not None:
            ordered = {key: event.pop(key) for key in ("time", "level", "event", *FIRST) if key in event}
            return self._clean(str(self._json(logger, name, {**ordered, **event})))
        trace = self._secrets.strike(str(event.pop("trace", "")))  # whole: a key may have several lines
        return "\n".join([self._clean(_columns(event)), *(f"    | {one_line(line)}" for line in trace.splitlines())])

    def _clean(self, text: str) -> str:
        return one_line(self._secrets.strike(text))


def _columns(event: EventDict) -> str:
    time, level = str(event.pop("time", ""))[11:], str(event.pop("level", ""))
    words = str(event.pop("event", ""))
    ordered = [(key, event.pop(key)) for key in FIRST if key in event]
    said = [(key, value) for key, value in [*ordered, *event.items()] if value not in ("", None)]
    details = " ".join(f"{key}={_quoted(value)}" for key, value in said)
    return f"{time} {level:<8} {words}{'  ' if details else ''}{details}"


def _quoted(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if not text or " " in text or "=" in text else text


def keys_of(secrets: Iterable[str]) -> Secrets:
    """Return `Secrets` that know these values."""
    known = Secrets()
    for value in secrets:
        known.register(value)
    return known
