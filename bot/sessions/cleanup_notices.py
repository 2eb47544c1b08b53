"""Tells threads that their session has been cleaned up, so that nobody wonders why the bot has
forgotten everything."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from bot.domain.cards import Card
from bot.domain.sessions import MAIN, SessionRecord
from bot.errors import SlackError
from bot.ports import Board

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 30
"""Threads that are told in one round: a big cleanup shall not flood Slack."""

GONE: Final = (
    "My session of this thread has been cleaned up. Your next message starts afresh, and I will "
    "read the thread's earlier messages again then."
)
GONE_ROLE: Final = (
    "My {role} session of this thread has been cleaned up. Your next message to it starts afresh."
)


class Farewells:
    """One round of telling threads; each cleanup has one of its own."""

    def __init__(self, board: Board, *, most: int = MOST_AT_ONCE) -> None:
        self._board = board
        self._left = most
        self.untold = 0
        """How many threads there were beyond those that were told."""

    async def tell(self, gone: Sequence[SessionRecord]) -> None:
        """Tell the threads whose current session has gone. Slack's trouble is nobody else's."""
        for session in gone:
            if not session.current or not session.asked:
                continue
            if self._left <= 0:
                self.untold += 1
                continue
            self._left -= 1
            text = GONE if session.role == MAIN else GONE_ROLE.format(role=session.role)
            try:
                await self._board.show(session.thread, Card(text=text))
            except SlackError as error:
                log.warning(
                    "thread %s could not be told that its session is gone: %s",
                    session.thread,
                    error,
                )
