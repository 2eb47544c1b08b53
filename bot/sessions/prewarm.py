"""Opens sessions before they are asked, so that the answer begins sooner.

While a turn waits for another one of its thread, and when somebody opens their direct messages with
the bot. Nothing depends on it: it is bounded, it takes no place that is needed, and whatever goes
wrong only means that the session is opened when it is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.domain.turns import Turn
from bot.errors import BotError
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

MAX_CONCURRENT: Final = 4
PREWARM_TIMEOUT_SECONDS: Final = 60.0


class SessionPrewarmer:
    """Opens sessions in the background."""

    def __init__(self, store: Store, pool: SessionPool, model_selector: ModelSelector) -> None:
        self._store = store
        self._pool = pool
        self._model_selector = model_selector
        self._tasks: set[asyncio.Task[None]] = set()

    def prewarm_for_turn(self, turn: Turn) -> None:
        """A turn waits: its session will be asked soon."""
        self._start(self._prewarm_thread(turn.message.thread, turn.message.options.role))

    def prewarm_for_dm(self, user: str, channel: str) -> None:
        """Somebody opened their direct messages: they may go on where they left off."""
        self._start(self._prewarm_newest(user, channel))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=PREWARM_TIMEOUT_SECONDS)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        if len(self._tasks) >= MAX_CONCURRENT:
            work.close()
            return
        task = asyncio.create_task(self._run_logged(work), name="prewarming")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_logged(self, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(PREWARM_TIMEOUT_SECONDS):
                await work
        except (BotError, TimeoutError) as error:
            log.info("a session could not be opened beforehand: %s", error)
        except Exception:
            log.exception("a session could not be opened beforehand")

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
