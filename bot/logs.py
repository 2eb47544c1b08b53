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
from bot.redaction import TAKEN_OUT, Redaction

_about: ContextVar[Turn | None] = ContextVar("about", default=None)
_trace: ContextVar[str] = ContextVar("trace", default="")

MOMENT_SECONDS: Final = 0.05
"""So long a line may wait for others. A process that is killed outright takes them along."""
_LINE = "%(asctime)s %(levelname)s %(name)s [%(about)s] %(message)s"

# What a token looks like, for those that were never told to us (in a model's error, say).
_TOKENS = re.compile(r"\b(xox[a-z]-|xapp-|gh[pousr]_|github_pat_)[A-Za-z0-9_-]{4,}")


def without_tokens(text: str) -> str:
    """The text with whatever looks like a token taken out."""
    return _TOKENS.sub(TAKEN_OUT, text)


@contextmanager
def about(turn: Turn) -> Iterator[None]:
    """Every line logged inside (and in tasks begun inside) names the turn and its thread."""
    token = _about.set(turn)
    try:
        yield
    finally:
        _about.reset(token)


@contextmanager
def in_trace(trace_id: str) -> Iterator[None]:
    """Every line logged inside (and in tasks begun inside) names the trace, as 32 hex digits."""
    token = _trace.set(trace_id)
    try:
        yield
    finally:
        _trace.reset(token)


class _Secrets:
    """Takes secrets out of finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redact = Redaction(secrets)

    def out_of(self, text: str) -> str:
        return without_tokens(self._redact(text))


class _Line(logging.Formatter):
    """Adds what the line is about and takes secrets out of the finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_LINE)
        self._secrets = _Secrets(secrets)

    def format(self, record: logging.LogRecord) -> str:
        turn = _about.get()
        record.about = "-" if turn is None else f"turn {turn.id} thread {turn.message.thread}"
        return self._secrets.out_of(super().format(record))


class _JsonLine(logging.Formatter):
    """The same as an object. Secrets are taken out of each text before it is quoted: quoted, one
    with a quotation mark in it would not be found."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = _Secrets(secrets)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._secrets.out_of(record.getMessage()),
        }
        turn = _about.get()
        if turn is not None:
            line |= {"turn": turn.id, "thread": str(turn.message.thread)}
        if _trace.get():
            line["trace"] = _trace.get()
        if record.exc_info:
            line["exception"] = self._secrets.out_of(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self._secrets.out_of(self.formatStack(record.stack_info))
        return json.dumps(line)


class _Together(logging.StreamHandler[TextIO]):
    """Writes the lines of a moment in one go. Each writing lets another thread have Python's lock,
    and the loop waits to get it back: line by line it takes a seventh of a turn's processor time
    (measured). Warnings, and what no loop is there to write, are written at once, after all that
    came before them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._asked: asyncio.AbstractEventLoop | None = None
        """The loop that is going to write."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._is_written_later():
                self.flush()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what has not been written yet."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            self._asked = None
            if lines:
                self.stream.write("".join(lines))
            super().flush()

    def _is_written_later(self) -> bool:
        """Whether the loop that runs here will write; it is asked to, if it was not yet."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._asked is not loop:
            self._asked = loop
            loop.call_later(MOMENT_SECONDS, self.flush)
        return True


class Seldom:
    """Keeps what others can cause as often as they like from filling the log."""

    def __init__(
        self, seconds: float = 60.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` are between two lines that say the same."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._said: dict[str, float] = {}

    def may(self, what: str) -> bool:
        """Whether this is to be said now; if so, it counts as said. `what` is one of a few."""
        now = self._monotonic()
        if now - self._said.get(what, float("-inf")) < self._seconds:
            return False
        self._said[what] = now
        return True


def start_logging(level: str, secrets: Iterable[str], form: str = "text") -> None:
    """Send the whole process's logs to standard error, one format for ours and others': `text` or
    `json`."""
    handler = _Together(sys.stderr)
    handler.setFormatter(_JsonLine(secrets) if form == "json" else _Line(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)


def announce(log: logging.Logger, sentence: str, form: str = "text") -> None:
    """Say something on standard error whatever the level of the logs: as it is or, where the logs
    are objects, as one of them."""
    for handler in logging.getLogger().handlers:
        handler.flush()  # in the order in which it was said
    if form == "text":
        print(sentence, file=sys.stderr, flush=True)
        return
    log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, sentence, (), None))
