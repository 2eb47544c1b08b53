"""Tells threads that their session has been cleaned up, so that nobody wonders why the bot has
forgotten everything."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from bot.domain.cards import Card
from bot.domain.sessions import MAIN_ROLE, SessionRecord
from bot.errors import SlackError
from bot.ports import CardPublisher

log = logging.getLogger(__name__)

MAX_NOTICES: Final = 30
"""Threads that are told in one round: a big cleanup shall not flood Slack."""

GONE: Final = (
    "My session of this thread has been cleaned up. Your next message starts afresh, and I will "
    "read the thread's earlier messages again then."
)
GONE_ROLE: Final = (
    "My {role} session of this thread has been cleaned up. Your next message to it starts afresh."
)


class CleanupNotices:
    """One round of telling threads; each cleanup has one of its own."""

    def __init__(self, publisher: CardPublisher, *, max_notices: int = MAX_NOTICES) -> None:
        self._publisher = publisher
        self._remaining = max_notices
        self.unnotified_count = 0
        """How many threads there were beyond those that were told."""

    async def notify_threads(self, sessions: Sequence[SessionRecord]) -> None:
        """Tell the threads whose current session has gone. Slack's trouble is nobody else's."""
        for session in sessions:
            if not session.current or not session.has_turns:
                continue
            if self._remaining <= 0:
                self.unnotified_count += 1
                continue
            self._remaining -= 1
            text = GONE if session.role == MAIN_ROLE else GONE_ROLE.format(role=session.role)
            try:
                await self._publisher.post(session.thread, Card(text=text))
            except SlackError as error:
                log.warning(
                    "thread %s could not be told that its session is gone: %s",
                    session.thread,
                    error,
                )
