"""What the story asks of the database about what Slack shows for a time only: the mark on a message
that waits, and the status of a thread. Both are on record for as long as they may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.domain.messages import Turn


class SignStore(Protocol):
    """What may still be shown in Slack. Everything raises `StoreError`."""

    async def show_waiting(self, turn: Turn) -> bool:
        """Note that the person is being shown that the message waits; False when it no longer
        does, or when 200 messages may be marked so already: more could not be taken back soon.
        Said before Slack is."""
        ...

    async def note_unmarked(self, turn: Turn) -> None:
        """Note that a message is not marked as waiting, or no longer. Said after Slack is."""
        ...

    async def marks_left(self, after: int) -> Sequence[Turn]:
        """Turns that wait no longer and whose messages may still be marked as waiting, with a
        higher id than `after`: the 100 oldest."""
        ...

    async def note_status_back(self, turn: Turn) -> None:
        """Note that a turn's thread does not show work on its account. Said after Slack is."""
        ...

    async def statuses_left(self, after: int) -> Sequence[Turn]:
        """Turns whose threads may show that the bot works, and whose replies do not take that back
        any more, with a higher id than `after`: the 100 oldest."""
        ...
