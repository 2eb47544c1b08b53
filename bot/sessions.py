"""Threads and their Copilot sessions: the bounded pool of live ones.

A live session costs memory, threads and speed of all others (measured: about 4 MB, 3 threads
each), so that only `size` of them stay open; the longest idle one is closed first. Its memory stays
on disk, and the thread's next turn resumes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.errors import AgentError, AgentFault
from bot.model import Thread
from bot.ports import Agent, AgentSession

log = logging.getLogger(__name__)

WAIT_SECONDS = 30.0
"""How long a turn waits for a place in the pool before it is told that the bot is busy."""


@dataclass(slots=True)
class _Live:
    """A live session, and whether a turn holds it."""

    session: AgentSession
    held: bool = True


class Sessions:
    """Hands each turn its thread's session, for itself alone."""

    def __init__(self, agent: Agent, *, size: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._agent = agent
        self._size = size
        self._wait_seconds = wait_seconds
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._opening: set[str] = set()
        self._changed = asyncio.Condition()

    @property
    def live(self) -> int:
        """How many sessions are open."""
        return len(self._live)

    @asynccontextmanager
    async def held(self, thread: Thread) -> AsyncIterator[AgentSession]:
        """The thread's session: live, else resumed, else created. Nobody else has it meanwhile.

        Raises `AgentError`: BUSY when no place in the pool comes free in time, and what
        `Agent.open` raises.
        """
        session_id = thread.key.session_id(thread.generation)
        session = await self._take(session_id)
        try:
            yield session
        finally:
            await self._give_back(session_id)

    async def close(self) -> None:
        """Let go of every session; for the end, when no turn runs any more."""
        async with self._changed:
            sessions = [live.session for live in self._live.values()]
            self._live.clear()
        await asyncio.gather(*(session.close() for session in sessions))

    async def _take(self, session_id: str) -> AgentSession:
        try:
            async with asyncio.timeout(self._wait_seconds):
                live, retired = await self._live_or_place(session_id)
        except TimeoutError as error:
            raise AgentError(
                AgentFault.BUSY, f"no place among {self._size} live sessions came free"
            ) from error
        if live is not None:
            return live
        try:
            if retired is not None:
                await retired.close()
            session = await self._agent.open(session_id)
        except BaseException:
            await self._forget_opening(session_id)
            raise
        # No await from here on: cancelled at one, the session would be open and nobody's. Nobody
        # has to be told: the place is taken as before, and the session is held.
        self._opening.discard(session_id)
        self._live[session_id] = _Live(session)
        return session

    async def _live_or_place(
        self, session_id: str
    ) -> tuple[AgentSession | None, AgentSession | None]:
        """The live session, now held; or None and a reserved place, with the idle session that
        has to be closed for it."""
        async with self._changed:
            while True:
                live = self._live.get(session_id)
                if live is not None and not live.session.alive and not live.held:
                    del self._live[session_id]
                    live = None
                if live is not None and not live.held:
                    live.held = True
                    self._live.move_to_end(session_id)
                    return live.session, None
                if live is None and session_id not in self._opening:
                    retired = None
                    full = len(self._live) + len(self._opening) >= self._size
                    if full:
                        retired = self._retire_longest_idle()
                    if not full or retired is not None:
                        self._opening.add(session_id)
                        return None, retired
                await self._changed.wait()

    def _retire_longest_idle(self) -> AgentSession | None:
        for session_id, live in self._live.items():
            if not live.held:
                del self._live[session_id]
                log.debug("session %s makes room in the pool", session_id)
                return live.session
        return None

    async def _forget_opening(self, session_id: str) -> None:
        async with self._changed:
            self._opening.discard(session_id)
            self._changed.notify_all()

    async def _give_back(self, session_id: str) -> None:
        async with self._changed:
            live = self._live.get(session_id)
            if live is not None:
                live.held = False
                if not live.session.alive:
                    del self._live[session_id]
            self._changed.notify_all()
