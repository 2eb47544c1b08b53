"""Manages a bounded pool of live Copilot sessions.

A live session costs memory (measured: about 6 MB, and 0.2 MB more for each turn). At most `size`
sessions stay open; the longest idle one is closed first. Its history stays on disk, and the next
turn of its thread resumes it.

The state is consistent at each await: a cancelled caller leaves no slot taken and no open session
without an owner.
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
"""Timeout, in seconds, of a turn's wait for a slot; then it fails as BUSY."""


@dataclass(slots=True)
class _PoolEntry:
    """A live session; `in_use` is true while a turn holds it."""

    session: AgentSession
    in_use: bool


@dataclass(frozen=True, slots=True)
class _Slot:
    """A taken slot, and the idle session to close for it, if any."""

    evicted: AgentSession | None


class SessionPool:
    """Gives each turn exclusive use of its session."""

    def __init__(
        self, agent: Agent, *, size: int, wait_seconds: float = ACQUIRE_TIMEOUT_SECONDS
    ) -> None:
        """`size` is the maximum number of open sessions, `wait_seconds` the timeout of a wait."""
        self._agent = agent
        self._size = size
        self._wait_seconds = wait_seconds
        self._live: OrderedDict[str, _PoolEntry] = OrderedDict()
        self._opening: set[str] = set()
        """Sessions being opened; each takes a slot, like a live one."""
        self._closing: set[str] = set()
        """Sessions being closed; they are not opened before that is done."""
        self._reserved: set[str] = set()
        """Sessions reserved by `exclusive`; they are not opened before their release."""
        self._restarting = False
        self._changed = asyncio.Event()

    @property
    def open_count(self) -> int:
        """The number of open sessions."""
        return len(self._live)

    def is_open(self, session_id: str) -> bool:
        """True if the session is open, in use or idle."""
        return session_id in self._live

    def is_in_use(self, session_id: str) -> bool:
        """True if the session is in use, reserved or being opened."""
        live = self._live.get(session_id)
        held = live is not None and live.in_use
        return held or session_id in self._opening or session_id in self._reserved

    @asynccontextmanager
    async def acquire(self, session_id: str, config: SessionConfig) -> AsyncIterator[AgentSession]:
        """The session with this configuration, for exclusive use while inside. It is the live one,
        else it is resumed, else created.

        Raises `AgentError`: BUSY if the session or a slot does not become free in time, and what
        `Agent.open_session` and `AgentSession.switch_model` raise.
        """
        session = await self._acquire(session_id, config)
        try:
            yield session
        finally:
            self._release(session_id)

    @asynccontextmanager
    async def exclusive(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        """Reserve the sessions that are not in use, and return their ids. While inside they are
        closed and no turn gets them, so that they can be deleted or attached to another thread. A
        turn that needs one waits, as long as for a slot.

        Raises `AgentError`: BUSY if a restart of the runtime takes too long.
        """
        reserved = await self._reserve(frozenset(session_ids))
        try:
            live = {each: self._live.pop(each).session for each in reserved if each in self._live}
            await self._close(live)
            while reserved & self._closing:
                await self._changed.wait()
            yield reserved
        finally:
            self._reserved -= reserved
            self._notify_waiters()

    async def prewarm(self, session_id: str, config: SessionConfig) -> None:
        """Open a session that a turn will need soon, if a slot is free: no other session is closed
        for it. An `AgentError` is logged."""
        if self._restarting or self.is_in_use(session_id) or session_id in self._closing:
            return
        self._drop_dead(session_id)
        if session_id in self._live or not self._has_free_slot():
            return
        self._opening.add(session_id)
        try:
            await self._open(session_id, config, in_use=False)
        except AgentError as error:
            log.info("session not prewarmed: session=%s reason=%s", session_id, error)

    async def close_idle(self, session_ids: Iterable[str]) -> None:
        """Close the sessions that are live and idle, because they are about to be deleted or their
        history is changed from outside. Sessions in use stay. Bounded; raises nothing."""
        idle = {
            session_id: live.session
            for session_id in session_ids
            if (live := self._live.get(session_id)) is not None and not live.in_use
        }
        for session_id in idle:
            del self._live[session_id]
        await self._close(idle)

    async def restart_runtime(self, timeout: float) -> bool:
        """Restart the runtime when no session is in use. New turns wait during this.

        Returns False, and changes nothing, if sessions are still in use after `timeout` seconds,
        or if a restart is running. A turn that waits longer than its own limit fails as BUSY.
        Raises what `Agent.restart` raises. The sessions are closed by then, and the next turn
        tries to start the runtime again.
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
        """Close all sessions; for the end, when no turn runs any more."""
        sessions = {session_id: live.session for session_id, live in self._live.items()}
        self._live.clear()
        await self._close(sessions)

    async def _reserve(self, session_ids: frozenset[str]) -> frozenset[str]:
        """Reserve the sessions that are not in use, and return their ids."""
        try:
            async with time_limit(SYSTEM_CLOCK, self._wait_seconds):
                while self._restarting:
                    await self._changed.wait()
        except TimeoutError as error:
            detail = f"the runtime is restarting; {len(session_ids)} sessions wait for it"
            raise AgentError(AgentErrorKind.BUSY, detail) from error
        # No await from here to the caller's `try`: a cancellation would leave them reserved.
        reserved = frozenset(each for each in session_ids if not self.is_in_use(each))
        self._reserved |= reserved
        return reserved

    async def _acquire(self, session_id: str, config: SessionConfig) -> AgentSession:
        """The session, in use and configured."""
        try:
            async with time_limit(SYSTEM_CLOCK, self._wait_seconds):
                acquired = await self._wait_for_session_or_slot(session_id, config)
        except TimeoutError as error:
            raise AgentError(
                AgentErrorKind.BUSY,
                f"session {session_id}, or one of {self._size} slots, did not become free",
            ) from error
        if isinstance(acquired, _Slot):
            if acquired.evicted is not None:
                await self._close_evicted(session_id, acquired.evicted)
            return await self._open(session_id, config, in_use=True)
        if acquired.config != config:
            try:
                await acquired.switch_model(config.model, config.effort)
            except BaseException:
                self._release(session_id)
                raise
        return acquired

    async def _wait_for_session_or_slot(
        self, session_id: str, config: SessionConfig
    ) -> AgentSession | _Slot:
        """The live session, now in use, or a slot for it, now taken."""
        while (acquired := self._try_acquire(session_id, config)) is None:
            await self._changed.wait()
        return acquired

    def _try_acquire(self, session_id: str, config: SessionConfig) -> AgentSession | _Slot | None:
        """The session or a slot; None if the caller has to wait."""
        if self._restarting or self.is_in_use(session_id) or session_id in self._closing:
            return None
        self._drop_dead(session_id)
        live = self._live.get(session_id)
        if live is not None and _differ_by_model_only(live.session.config, config):
            live.in_use = True
            self._live.move_to_end(session_id)
            return live.session
        if live is not None:
            # The instructions and the tools are set when a session is opened.
            evicted: AgentSession | None = live.session
            del self._live[session_id]
        elif self._has_free_slot():
            evicted = None
        else:
            evicted = self._evict_longest_idle()
            if evicted is None:
                return None
        self._opening.add(session_id)
        return _Slot(evicted)

    def _has_free_slot(self) -> bool:
        return len(self._live) + len(self._opening) < self._size

    def _evict_longest_idle(self) -> AgentSession | None:
        for session_id, live in self._live.items():
            if not live.in_use:
                del self._live[session_id]
                log.debug("session evicted from the pool: session=%s", session_id)
                return live.session
        return None

    def _drop_dead(self, session_id: str) -> None:
        """Remove an idle session whose runtime has died."""
        live = self._live.get(session_id)
        if live is not None and not live.in_use and not live.session.alive:
            del self._live[session_id]

    async def _close_evicted(self, session_id: str, evicted: AgentSession) -> None:
        """Close the session whose slot another one takes, or itself with a new configuration."""
        try:
            await self._close({evicted.id: evicted})
        except BaseException:
            self._opening.discard(session_id)
            self._notify_waiters()
            raise

    async def _open(self, session_id: str, config: SessionConfig, *, in_use: bool) -> AgentSession:
        """Open a session that has a slot."""
        try:
            session = await self._agent.open_session(session_id, config)
            # No await after this one: a cancellation would leave an open session without an owner.
            self._live[session_id] = _PoolEntry(session, in_use)
        finally:
            self._opening.discard(session_id)
            self._notify_waiters()
        return session

    async def _close(self, sessions: dict[str, AgentSession]) -> None:
        """Close sessions that were removed from the pool; they cannot be opened during this."""

        def on_closed(_: object) -> None:
            self._closing.difference_update(sessions)
            self._notify_waiters()

        self._closing.update(sessions)
        closing = asyncio.gather(*(session.close() for session in sessions.values()))
        closing.add_done_callback(on_closed)
        # Shielded: a half closed session would stay in the runtime without an owner.
        await asyncio.shield(closing)

    async def _wait_until_unused(self, timeout: float) -> bool:
        """Wait until no session is in use, opening or closing; False after `timeout` seconds."""
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
        """Wake all waiting callers to check again."""
        self._changed.set()
        self._changed = asyncio.Event()


def _differ_by_model_only(current: SessionConfig, wanted: SessionConfig) -> bool:
    """True if the configurations are equal but for model and effort, which a live session can
    change."""
    return replace(current, model=wanted.model, effort=wanted.effort) == wanted
