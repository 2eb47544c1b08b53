"""The bounded pool of live Copilot sessions.

A live session costs memory (measured: about 6 MB, and 0.2 MB more for each turn), so that only
`size` of them stay open; the longest idle one is closed first. Its memory stays on disk, and the
next turn that asks it resumes it.

Between two awaits nothing here is half done: whoever is cancelled leaves no place taken and no
session open that belongs to nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.errors import AgentError, AgentErrorKind
from bot.ports import Agent, AgentSession, SessionConfig

log = logging.getLogger(__name__)

ACQUIRE_TIMEOUT_SECONDS = 30.0
"""How long a turn waits for a place in the pool before it is told that the bot is busy."""


@dataclass(slots=True)
class _PoolEntry:
    """A live session, and whether a turn holds it."""

    session: AgentSession
    in_use: bool


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in the pool, taken; and the idle session that has to be closed for it."""

    evicted: AgentSession | None


class SessionPool:
    """Hands each turn its session, for itself alone."""

    def __init__(
        self, agent: Agent, *, size: int, wait_seconds: float = ACQUIRE_TIMEOUT_SECONDS
    ) -> None:
        """`wait_seconds`: how long to wait for a place before it is BUSY."""
        self._agent = agent
        self._size = size
        self._wait_seconds = wait_seconds
        self._live: OrderedDict[str, _PoolEntry] = OrderedDict()
        self._opening: set[str] = set()
        """Each has a place, like the live ones."""
        self._closing: set[str] = set()
        """Being closed; not to be opened before that is done."""
        self._reserved: set[str] = set()
        """Out of use: not to be opened before they are given free."""
        self._restarting = False
        self._changed = asyncio.Event()

    @property
    def open_count(self) -> int:
        """How many sessions are open."""
        return len(self._live)

    def is_open(self, session_id: str) -> bool:
        """Whether a session is open, held or not."""
        return session_id in self._live

    def is_in_use(self, session_id: str) -> bool:
        """Whether somebody has the session just now, also to delete it, or it is being opened."""
        live = self._live.get(session_id)
        held = live is not None and live.in_use
        return held or session_id in self._opening or session_id in self._reserved

    @asynccontextmanager
    async def acquire(self, session_id: str, config: SessionConfig) -> AsyncIterator[AgentSession]:
        """The session, set up so: live, else resumed, else created. Nobody else has it meanwhile.

        Raises `AgentError`: BUSY when it, or a place in the pool, does not come free in time, and
        what `Agent.open_session` and `AgentSession.switch_model` raise.
        """
        session = await self._acquire(session_id, config)
        try:
            yield session
        finally:
            self._release(session_id)

    @asynccontextmanager
    async def exclusive(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        """Those of these sessions that nobody has or opens just now: nobody gets them while inside,
        and none of them is open, so that they can be deleted or change hands. A turn that wants one
        waits, as long as it waits for a place.

        Raises `AgentError`: BUSY when the runtime is being started anew and that takes too long.
        """
        taken = await self._reserve(frozenset(session_ids))
        try:
            live = {each: self._live.pop(each).session for each in taken if each in self._live}
            await self._close(live)
            while taken & self._closing:
                await self._changed.wait()
            yield taken
        finally:
            self._reserved -= taken
            self._notify_waiters()

    async def prewarm(self, session_id: str, config: SessionConfig) -> None:
        """Open a session for a turn that will want it soon, where a place is free: no other
        session is closed for it. Raises nothing."""
        if self._restarting or self.is_in_use(session_id) or session_id in self._closing:
            return
        self._drop_dead(session_id)
        if session_id in self._live or not self._has_free_slot():
            return
        self._opening.add(session_id)
        try:
            await self._open(session_id, config, in_use=False)
        except AgentError as error:
            log.info("session %s could not be opened beforehand: %s", session_id, error)

    async def close_idle(self, session_ids: Iterable[str]) -> None:
        """Close those of these sessions that are live and idle: because they are to be deleted, or
        their history is changed from outside. Those that are held stay. Bounded, raises nothing."""
        idle = {
            session_id: live.session
            for session_id in session_ids
            if (live := self._live.get(session_id)) is not None and not live.in_use
        }
        for session_id in idle:
            del self._live[session_id]
        await self._close(idle)

    async def restart_runtime(self, timeout: float) -> bool:
        """Start the runtime anew once nobody has a session: new turns wait, and go on afterwards.

        Waits at most `within` seconds for those that run; then everything goes on as before, and
        the answer is False. Those who wait get BUSY when that is longer than they may wait.
        Raises what `Agent.restart` raises, when sessions are already closed: the next turn tries
        to start the runtime again.
        """
        if self._restarting:
            return False
        self._restarting = True
        try:
            if not await self._wait_until_unused(timeout):
                return False
            await self.close()
            await self._agent.restart()
        finally:
            self._restarting = False
            self._notify_waiters()
        return True

    async def close(self) -> None:
        """Let go of every session; for the end, when no turn runs any more."""
        sessions = {session_id: live.session for session_id, live in self._live.items()}
        self._live.clear()
        await self._close(sessions)

    async def _reserve(self, session_ids: frozenset[str]) -> frozenset[str]:
        """Those of these sessions that nobody has, taken out of use."""
        try:
            async with time_limit(SYSTEM_CLOCK, self._wait_seconds):
                while self._restarting:
                    await self._changed.wait()
        except TimeoutError as error:
            detail = f"the runtime is being started anew; {len(session_ids)} sessions wait for it"
            raise AgentError(AgentErrorKind.BUSY, detail) from error
        # No await from here to the caller's `try`: cancelled there, they would stay out of use.
        taken = frozenset(each for each in session_ids if not self.is_in_use(each))
        self._reserved |= taken
        return taken

    async def _acquire(self, session_id: str, config: SessionConfig) -> AgentSession:
        """The session, held and set up."""
        try:
            async with time_limit(SYSTEM_CLOCK, self._wait_seconds):
                taken = await self._wait_for_session_or_slot(session_id, config)
        except TimeoutError as error:
            raise AgentError(
                AgentErrorKind.BUSY,
                f"session {session_id}, or a place among {self._size}, did not come free",
            ) from error
        if isinstance(taken, _Slot):
            if taken.evicted is not None:
                await self._close_evicted(session_id, taken.evicted)
            return await self._open(session_id, config, in_use=True)
        if taken.config != config:
            try:
                await taken.switch_model(config.model, config.effort)
            except BaseException:
                self._release(session_id)
                raise
        return taken

    async def _wait_for_session_or_slot(
        self, session_id: str, config: SessionConfig
    ) -> AgentSession | _Slot:
        """The live session, now held, or a place for it, now taken."""
        while (taken := self._try_acquire(session_id, config)) is None:
            await self._changed.wait()
        return taken

    def _try_acquire(self, session_id: str, config: SessionConfig) -> AgentSession | _Slot | None:
        """What can be had at once; None when it has to be waited for."""
        if self._restarting or self.is_in_use(session_id) or session_id in self._closing:
            return None
        self._drop_dead(session_id)
        live = self._live.get(session_id)
        if live is not None and _differ_by_model_only(live.session.config, config):
            live.in_use = True
            self._live.move_to_end(session_id)
            return live.session
        if live is not None:
            # What the model is told, and its tools, are given when a session is opened.
            retired: AgentSession | None = live.session
            del self._live[session_id]
        elif self._has_free_slot():
            retired = None
        else:
            retired = self._evict_longest_idle()
            if retired is None:
                return None
        self._opening.add(session_id)
        return _Slot(retired)

    def _has_free_slot(self) -> bool:
        return len(self._live) + len(self._opening) < self._size

    def _evict_longest_idle(self) -> AgentSession | None:
        for session_id, live in self._live.items():
            if not live.in_use:
                del self._live[session_id]
                log.debug("session %s makes room in the pool", session_id)
                return live.session
        return None

    def _drop_dead(self, session_id: str) -> None:
        """Forget a session that nobody holds and whose runtime has gone."""
        live = self._live.get(session_id)
        if live is not None and not live.in_use and not live.session.alive:
            del self._live[session_id]

    async def _close_evicted(self, session_id: str, evicted: AgentSession) -> None:
        """Close the session whose place is taken for another one, or for itself set up anew."""
        try:
            await self._close({evicted.id: evicted})
        except BaseException:
            self._opening.discard(session_id)
            self._notify_waiters()
            raise

    async def _open(self, session_id: str, config: SessionConfig, *, in_use: bool) -> AgentSession:
        """Open a session whose place is taken."""
        try:
            session = await self._agent.open_session(session_id, config)
            # No await after this one: cancelled there, the session would be open and nobody's.
            self._live[session_id] = _PoolEntry(session, in_use)
        finally:
            self._opening.discard(session_id)
            self._notify_waiters()
        return session

    async def _close(self, sessions: dict[str, AgentSession]) -> None:
        """Close sessions that are out of the pool already; nobody opens them meanwhile."""

        def closed(_: object) -> None:
            self._closing.difference_update(sessions)
            self._notify_waiters()

        self._closing.update(sessions)
        closing = asyncio.gather(*(session.close() for session in sessions.values()))
        closing.add_done_callback(closed)
        # Shielded: half closed, a session would stay in the runtime and be nobody's.
        await asyncio.shield(closing)

    async def _wait_until_unused(self, timeout: float) -> bool:
        """Wait until nobody has, opens or closes a session; False when that takes too long."""
        try:
            async with asyncio.timeout(timeout):
                while (
                    self._opening
                    or self._closing
                    or self._reserved
                    or any(live.in_use for live in self._live.values())
                ):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _release(self, session_id: str) -> None:
        live = self._live.get(session_id)
        if live is not None:
            live.in_use = False
            self._drop_dead(session_id)
        self._notify_waiters()

    def _notify_waiters(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()


def _differ_by_model_only(current: SessionConfig, wanted: SessionConfig) -> bool:
    """A model, and its effort, can be changed in a live session; also when nothing differs."""
    return replace(current, model=wanted.model, effort=wanted.effort) == wanted
