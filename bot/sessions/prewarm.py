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
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
SECONDS: Final = 60.0


class Prewarming:
    """Opens sessions in the background."""

    def __init__(self, store: Store, sessions: Sessions, choosing: Choosing) -> None:
        self._store = store
        self._sessions = sessions
        self._choosing = choosing
        self._tasks: set[asyncio.Task[None]] = set()

    def for_turn(self, turn: Turn) -> None:
        """A turn waits: its session will be asked soon."""
        self._start(self._of_thread(turn.message.thread, turn.message.wish.role))

    def for_direct(self, user: str, channel: str) -> None:
        """Somebody opened their direct messages: they may go on where they left off."""
        self._start(self._newest(user, channel))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=SECONDS)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        if len(self._tasks) >= AT_ONCE:
            work.close()
            return
        task = asyncio.create_task(self._watched(work), name="prewarming")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watched(self, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await work
        except (BotError, TimeoutError) as error:
            log.info("a session could not be opened beforehand: %s", error)
        except Exception:
            log.exception("a session could not be opened beforehand")

    async def _of_thread(self, thread: ThreadKey, role: str) -> None:
        session = await self._store.current(thread, role)
        if session is not None:
            await self._open(session)

    async def _newest(self, user: str, channel: str) -> None:
        wanted = SessionFilter(owner=user, channel=channel, set_aside=False)
        page = await self._store.sessions(wanted, 0, 1)
        for session in page.sessions:
            await self._open(session)

    async def _open(self, session: SessionRecord) -> None:
        chosen = await self._choosing.chosen(session, session.thread)
        await self._sessions.prewarm(session.id, chosen.setup)
