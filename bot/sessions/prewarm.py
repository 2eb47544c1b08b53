"""Opens sessions before they are asked, so that the answer begins sooner.

While a turn waits for another one of its thread, and when somebody opens their direct messages with
the bot. Nothing depends on it: it is bounded, it takes no place that is needed, and whatever goes
wrong only means that the session is opened when it is asked.
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
PREWARM_TIMEOUT_SECONDS: Final = 60.0


class SessionPrewarmer:
    """Opens sessions in the background."""

    def __init__(self, store: Store, pool: SessionPool, model_selector: ModelSelector) -> None:
        self._store = store
        self._pool = pool
        self._model_selector = model_selector
        self._tasks = BackgroundTasks(MAX_CONCURRENT, PREWARM_TIMEOUT_SECONDS, optional=True)

    def prewarm_for_turn(self, turn: Turn) -> None:
        """A turn waits: its session will be asked soon."""
        thread, role = turn.message.thread, turn.message.options.role
        self._tasks.spawn("prewarm a session", self._prewarm_thread(thread, role))

    def prewarm_for_dm(self, user: str, channel: str) -> None:
        """Somebody opened their direct messages: they may go on where they left off."""
        self._tasks.spawn("prewarm a session", self._prewarm_newest(user, channel))

    async def close(self) -> None:
        """Give up what is under way."""
        await self._tasks.close(grace=0, cancel_timeout=PREWARM_TIMEOUT_SECONDS)

    async def _prewarm_thread(self, thread: ThreadKey, role: str) -> None:
        session = await self._store.current_session(thread, role)
        if session is not None:
            await self._prewarm(session)

    async def _prewarm_newest(self, user: str, channel: str) -> None:
        wanted = SessionFilter(owner=user, channel=channel, inactive=False)
        page = await self._store.list_sessions(wanted, 0, 1)
        for session in page.sessions:
            await self._prewarm(session)

    async def _prewarm(self, session: SessionRecord) -> None:
        chosen = await self._model_selector.select(session, session.thread)
        await self._pool.prewarm(session.id, chosen.config)
