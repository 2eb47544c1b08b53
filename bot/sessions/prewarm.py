"""Opens sessions before their turns need them, so that the answer begins sooner.

It does so while a turn waits for another one of its thread, and when a user opens the direct
messages with the bot. It is optional: it is bounded, closes no other session, and after a failure
the turn opens the session itself.
"""

from __future__ import annotations

from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.domain.turns import Turn
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.tasks import BackgroundTasks

MAX_CONCURRENT: Final = 4
"""Maximum number of sessions opened at the same time."""
PREWARM_TIMEOUT_SECONDS: Final = 60.0
"""Timeout for opening one session, in seconds."""


class SessionPrewarmer:
    """Opens sessions in the background."""

    def __init__(self, store: Store, pool: SessionPool, model_selector: ModelSelector) -> None:
        self._store = store
        self._pool = pool
        self._model_selector = model_selector
        self._tasks = BackgroundTasks(MAX_CONCURRENT, PREWARM_TIMEOUT_SECONDS, optional=True)

    def prewarm_for_turn(self, turn: Turn) -> None:
        """Open the session of a waiting turn."""
        thread, role = turn.message.thread, turn.message.options.role
        self._tasks.spawn("prewarm a session", self._prewarm_thread(thread, role))

    def prewarm_for_dm(self, user: str, channel: str) -> None:
        """Open the newest session of a direct message channel that `user` opened."""
        self._tasks.spawn("prewarm a session", self._prewarm_newest(user, channel))

    async def close(self) -> None:
        """Cancel what is running."""
        await self._tasks.close(grace=0, cancel_timeout=PREWARM_TIMEOUT_SECONDS)

    async def _prewarm_thread(self, thread: ThreadKey, role: str) -> None:
        session = await self._store.current_session(thread, role)
        if session is not None:
            await self._prewarm(session)

    async def _prewarm_newest(self, user: str, channel: str) -> None:
        session_filter = SessionFilter(owner=user, channel=channel, inactive=False)
        page = await self._store.list_sessions(session_filter, 0, 1)
        for session in page.sessions:
            await self._prewarm(session)

    async def _prewarm(self, session: SessionRecord) -> None:
        selection = await self._model_selector.select(session, session.thread)
        await self._pool.prewarm(session.id, selection.config)
