"""Posts a notice to threads whose session a cleanup deleted."""

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
"""Maximum number of notices of one cleanup: a large one must not flood Slack."""

GONE: Final = (
    "A cleanup deleted this thread's session. Your next message starts a new one, and I'll read "
    "the thread's earlier messages again."
)
GONE_ROLE: Final = (
    "A cleanup deleted this thread's {role} session. Your next message to it starts a new one."
)


class CleanupNotices:
    """The notices of one cleanup."""

    def __init__(self, publisher: CardPublisher, *, max_notices: int = MAX_NOTICES) -> None:
        self._publisher = publisher
        self._remaining = max_notices
        self.unnotified_count = 0
        """Number of threads above the maximum, which get no notice."""

    async def notify_threads(self, sessions: Sequence[SessionRecord]) -> None:
        """Post a notice to each thread whose current session was deleted. Slack errors are
        logged."""
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
                log.warning("cleanup notice failed: thread=%s reason=%s", session.thread, error)
