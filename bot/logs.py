"""Formats log lines for operators: with the thread and turn they concern, and without secrets.

A line is text, or a JSON object with `LOG_FORMAT=json`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TextIO

from bot.domain.turns import Turn
from bot.redaction import REPLACEMENT, SecretRedactor

_current_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)
_trace_id: ContextVar[str] = ContextVar("trace", default="")

FLUSH_DELAY_SECONDS: Final = 0.05
"""Maximum time that a line is buffered, in seconds. A killed process loses the buffered lines."""
_TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(about)s] %(message)s"

# Matches tokens that are not in the settings, such as one in an error of a model server.
_TOKEN_PATTERN = re.compile(r"\b(xox[a-z]-|xapp-|gh[pousr]_|github_pat_)[A-Za-z0-9_-]{4,}")


def redact_tokens(text: str) -> str:
    """The text without anything that looks like a token."""
    return _TOKEN_PATTERN.sub(REPLACEMENT, text)


@contextmanager
def log_context(turn: Turn) -> Iterator[None]:
    """Lines logged inside, and in tasks started inside, name the turn and its thread."""
    token = _current_turn.set(turn)
    try:
        yield
    finally:
        _current_turn.reset(token)


@contextmanager
def trace_context(trace_id: str) -> Iterator[None]:
    """Lines logged inside, and in tasks started inside, name the trace, as 32 hex digits."""
    token = _trace_id.set(trace_id)
    try:
        yield
    finally:
        _trace_id.reset(token)


class _TextRedactor:
    """Removes secrets and tokens from a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redact = SecretRedactor(secrets)

    def redact(self, text: str) -> str:
        return redact_tokens(self._redact(text))


class _TextFormatter(logging.Formatter):
    """Adds the turn and thread to a line and removes secrets from the finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_TEXT_FORMAT)
        self._redactor = _TextRedactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        turn = _current_turn.get()
        record.about = "-" if turn is None else f"turn {turn.id} thread {turn.message.thread}"
        return self._redactor.redact(super().format(record))


class _JsonFormatter(logging.Formatter):
    """Formats a line as a JSON object. Secrets are removed from each text before it is quoted: a
    secret that contains a quotation mark would not be found afterwards."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._redactor = _TextRedactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redactor.redact(record.getMessage()),
        }
        turn = _current_turn.get()
        if turn is not None:
            line |= {"turn": turn.id, "thread": str(turn.message.thread)}
        if _trace_id.get():
            line["trace"] = _trace_id.get()
        if record.exc_info:
            line["exception"] = self._redactor.redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self._redactor.redact(self.formatStack(record.stack_info))
        return json.dumps(line)


class _BufferedHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of a short interval together. Each write releases Python's lock, and the
    loop waits to get it back: line by line this takes a seventh of a turn's processor time
    (measured). Warnings, and lines outside of a loop, are written at once, after the buffer."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._buffer: list[str] = []
        self._flush_loop: asyncio.AbstractEventLoop | None = None
        """The loop that has a flush scheduled."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._buffer.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._schedule_flush():
                self.flush()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write the buffered lines."""
        with self.lock or nullcontext():
            lines, self._buffer = self._buffer, []
            self._flush_loop = None
            if lines:
                self.stream.write("".join(lines))
            super().flush()

    def _schedule_flush(self) -> bool:
        """Schedule a flush in the running loop. False if no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._flush_loop is not loop:
            self._flush_loop = loop
            loop.call_later(FLUSH_DELAY_SECONDS, self.flush)
        return True


class LogThrottle:
    """Limits log lines that outside input can cause any number of times."""

    def __init__(
        self, seconds: float = 60.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` is the minimum interval between two lines with the same key."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._last_logged: dict[str, float] = {}

    def allow(self, key: str) -> bool:
        """True if a line with this key is due; it then counts as logged. `key` is one of a few."""
        now = self._monotonic()
        if now - self._last_logged.get(key, float("-inf")) < self._seconds:
            return False
        self._last_logged[key] = now
        return True


def start_logging(level: str, secrets: Iterable[str], log_format: str = "text") -> None:
    """Send the logs of the process, libraries included, to standard error. `log_format` is `text`
    or `json`."""
    handler = _BufferedHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter(secrets) if log_format == "json" else _TextFormatter(secrets)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)


def announce(log: logging.Logger, text: str, log_format: str = "text") -> None:
    """Write a line to standard error at any log level: plain, or as an object where the logs are
    objects."""
    for handler in logging.getLogger().handlers:
        handler.flush()  # keeps the order of the lines
    if log_format == "text":
        print(text, file=sys.stderr, flush=True)
        return
    log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, text, (), None))
