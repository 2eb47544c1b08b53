"""Gives sessions their titles in the runtime, too, where that costs nobody a wait."""

from __future__ import annotations

from bot.domain import SessionRecord
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions


class Renaming:
    """Names sessions in the runtime."""

    def __init__(self, sessions: Sessions, choosing: Choosing) -> None:
        self._sessions = sessions
        self._choosing = choosing

    async def rename(self, session: SessionRecord, title: str) -> None:
        """Name a session. One that answers, and one that the runtime does not have yet, keep the
        name they have. Raises `BotError`."""
        if not session.asked or self._sessions.busy(session.id):
            return
        chosen = await self._choosing.chosen(session, session.thread)
        async with self._sessions.held(session.id, chosen.setup) as live:
            await live.rename(title)
