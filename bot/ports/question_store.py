"""What the story asks of the database about questions that are on their way into a channel.

Every write is on disk (committed, fsynced) when its call returns. Everything raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.domain import OpenQuestion


class QuestionStore(Protocol):
    """Questions asked by command, from being asked to being a message."""

    async def note_question(self, question: OpenQuestion) -> bool:
        """Keep a question; False when it is kept already, or has become a message since."""
        ...

    async def drop_question(self, event_id: str) -> None:
        """Forget a question: it has become a message, or never will."""
        ...

    async def open_questions(self) -> Sequence[OpenQuestion]:
        """What was asked and has not become a message; the oldest 400. Those that have are
        forgotten."""
        ...
