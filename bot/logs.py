"""Log lines for operators: each names the thread and turn that it is about, none shows a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bot.model import Turn

_about: ContextVar[str] = ContextVar("about", default="-")

_LINE = "%(asctime)s %(levelname)s %(name)s [%(about)s] %(message)s"

# What a token looks like, for those that were never told to us (in a model's error, say).
_TOKENS = re.compile(r"\b(xox[a-z]-|xapp-|gh[pousr]_|github_pat_)[A-Za-z0-9_-]{4,}")


def without_tokens(text: str) -> str:
    """The text with whatever looks like a token taken out."""
    return _TOKENS.sub("[secret]", text)


@contextmanager
def about(turn: Turn) -> Iterator[None]:
    """Every line logged inside (and in tasks begun inside) names the turn and its thread."""
    token = _about.set(f"turn {turn.id} thread {turn.message.thread}")
    try:
        yield
    finally:
        _about.reset(token)


class _Line(logging.Formatter):
    """Adds what the line is about and takes secrets out of the finished text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_LINE)
        self._secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        record.about = _about.get()
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return without_tokens(text)


def start_logging(level: str, secrets: Iterable[str]) -> None:
    """Send the whole process's logs to standard error, one format for ours and others'."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(level)
