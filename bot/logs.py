"""Log lines for operators: each names the thread and turn that it is about, none shows a secret.

As text, a line for people; or as JSON (`LOG_FORMAT=json`), one object a line for machines.
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

_current_turn: ContextVar[Turn | None] = ContextVar("about", default=None)
_trace_id: ContextVar[str] = ContextVar("trace", default="")

FLUSH_DELAY_SECONDS: Final = 0.05
"""So long a line may wait for others. A process that is killed outright takes them along."""
_TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(about)s] %(message)s"

# What a token looks like, for those that were never told to us (in a model's error, say).
_TOKEN_PATTERN = re.compile(r"\b(xox[a-z]-|xapp-|gh[pousr]_|github_pat_)[A-Za-z0-9_-]{4,}")


def redact_tokens(text: str) -> str:
    """The text with whatever looks like a token taken out."""
    return _TOKEN_PATTERN.sub(REPLACEMENT, text)


@contextmanager
def log_context(turn: Turn) -> Iterator[None]:
    """Every line logged inside (and in tasks begun inside) names the turn and its thread."""
    token = _current_turn.set(turn)
    try:
        yield
    finally:
        _current_turn.reset(token)


@contextmanager
def trace_context(trace_id: str) -> Iterator[None]:
    """Every line logged inside (and in tasks begun inside) names the trace, as 32 hex digits."""
    token = _trace_id.set(trace_id)
    try:
        yield
    finally:
        _trace_id.reset(token)


class _TextRedactor:
    """Takes secrets out of finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redact = SecretRedactor(secrets)

    def redact(self, text: str) -> str:
        return redact_tokens(self._redact(text))


class _TextFormatter(logging.Formatter):
    """Adds what the line is about and takes secrets out of the finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_TEXT_FORMAT)
        self._redactor = _TextRedactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        turn = _current_turn.get()
        record.about = "-" if turn is None else f"turn {turn.id} thread {turn.message.thread}"
        return self._redactor.redact(super().format(record))


class _JsonFormatter(logging.Formatter):
    """The same as an object. Secrets are taken out of each text before it is quoted: quoted, one
    with a quotation mark in it would not be found."""

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
    """Writes the lines of a moment in one go. Each writing lets another thread have Python's lock,
    and the loop waits to get it back: line by line it takes a seventh of a turn's processor time
    (measured). Warnings, and what no loop is there to write, are written at once, after all that
    came before them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._buffer: list[str] = []
        self._flush_loop: asyncio.AbstractEventLoop | None = None
        """The loop that is going to write."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._buffer.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._schedule_flush():
                self.flush()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what has not been written yet."""
        with self.lock or nullcontext():
            lines, self._buffer = self._buffer, []
            self._flush_loop = None
            if lines:
                self.stream.write("".join(lines))
            super().flush()

    def _schedule_flush(self) -> bool:
        """Whether the loop that runs here will write; it is asked to, if it was not yet."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._flush_loop is not loop:
            self._flush_loop = loop
            loop.call_later(FLUSH_DELAY_SECONDS, self.flush)
        return True


class LogThrottle:
    """Keeps what others can cause as often as they like from filling the log."""

    def __init__(
        self, seconds: float = 60.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` are between two lines that say the same."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._last_logged: dict[str, float] = {}

    def allow(self, key: str) -> bool:
        """Whether this is to be said now; if so, it counts as said. `what` is one of a few."""
        now = self._monotonic()
        if now - self._last_logged.get(key, float("-inf")) < self._seconds:
            return False
        self._last_logged[key] = now
        return True


def start_logging(level: str, secrets: Iterable[str], log_format: str = "text") -> None:
    """Send the whole process's logs to standard error, one format for ours and others': `text` or
    `json`."""
    handler = _BufferedHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter(secrets) if log_format == "json" else _TextFormatter(secrets)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)


def announce(log: logging.Logger, text: str, log_format: str = "text") -> None:
    """Say something on standard error whatever the level of the logs: as it is or, where the logs
    are objects, as one of them."""
    for handler in logging.getLogger().handlers:
        handler.flush()  # in the order in which it was said
    if log_format == "text":
        print(text, file=sys.stderr, flush=True)
        return
    log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, text, (), None))
