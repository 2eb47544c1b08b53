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

from bot.clock import REAL, time_limit
from bot.errors import AgentError, AgentFault
from bot.ports import Agent, AgentSession, Setup

log = logging.getLogger(__name__)

WAIT_SECONDS = 30.0
"""How long a turn waits for a place in the pool before it is told that the bot is busy."""


@dataclass(slots=True)
class _Live:
    """A live session, and whether a turn holds it."""

    session: AgentSession
    held: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the pool, taken; and the idle session that has to be closed for it."""

    retired: AgentSession | None


class Sessions:
    """Hands each turn its session, for itself alone."""

    def __init__(self, agent: Agent, *, size: int, wait_seconds: float = WAIT_SECONDS) -> None:
        """`wait_seconds`: how long to wait for a place before it is BUSY."""
        self._agent = agent
        self._size = size
        self._wait_seconds = wait_seconds
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._opening: set[str] = set()
        """Each has a place, like the live ones."""
        self._leaving: set[str] = set()
        """Being closed; not to be opened before that is done."""
        self._reserved: set[str] = set()
        """Out of use: not to be opened before they are given free."""
        self._renewing = False
        self._change = asyncio.Event()

    @property
    def live(self) -> int:
        """How many sessions are open."""
        return len(self._live)

    def has(self, session_id: str) -> bool:
        """Whether a session is open, held or not."""
        return session_id in self._live

    def busy(self, session_id: str) -> bool:
        """Whether somebody has the session just now, also to delete it, or it is being opened."""
        live = self._live.get(session_id)
        held = live is not None and live.held
        return held or session_id in self._opening or session_id in self._reserved

    @asynccontextmanager
    async def held(self, session_id: str, setup: Setup) -> AsyncIterator[AgentSession]:
        """The session, set up so: live, else resumed, else created. Nobody else has it meanwhile.

        Raises `AgentError`: BUSY when it, or a place in the pool, does not come free in time, and
        what `Agent.open` and `AgentSession.use` raise.
        """
        session = await self._take(session_id, setup)
        try:
            yield session
        finally:
            self._give_back(session_id)

    @asynccontextmanager
    async def reserved(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        """Those of these sessions that nobody has or opens just now: nobody gets them while inside,
        and none of them is open, so that they can be deleted or change hands. A turn that wants one
        waits, as long as it waits for a place.

        Raises `AgentError`: BUSY when the runtime is being started anew and that takes too long.
        """
        taken = await self._out_of_use(frozenset(session_ids))
        try:
            live = {each: self._live.pop(each).session for each in taken if each in self._live}
            await self._close(live)
            while taken & self._leaving:
                await self._change.wait()
            yield taken
        finally:
            self._reserved -= taken
            self._tell()

    async def prewarm(self, session_id: str, setup: Setup) -> None:
        """Open a session for a turn that will want it soon, where a place is free: no other
        session is closed for it. Raises nothing."""
        if self._renewing or self.busy(session_id) or session_id in self._leaving:
            return
        self._drop_dead(session_id)
        if session_id in self._live or not self._has_room():
            return
        self._opening.add(session_id)
        try:
            await self._open(session_id, setup, held=False)
        except AgentError as error:
            log.info("session %s could not be opened beforehand: %s", session_id, error)

    async def let_go(self, session_ids: Iterable[str]) -> None:
        """Close those of these sessions that are live and idle: because they are to be deleted, or
        their history is changed from outside. Those that are held stay. Bounded, raises nothing."""
        idle = {
            session_id: live.session
            for session_id in session_ids
            if (live := self._live.get(session_id)) is not None and not live.held
        }
        for session_id in idle:
            del self._live[session_id]
        await self._close(idle)

    async def renew(self, within: float) -> bool:
        """Start the runtime anew once nobody has a session: new turns wait, and go on afterwards.

        Waits at most `within` seconds for those that run; then everything goes on as before, and
        the answer is False. Those who wait get BUSY when that is longer than they may wait.
        Raises what `Agent.restart` raises, when sessions are already closed: the next turn tries
        to start the runtime again.
        """
        if self._renewing:
            return False
        self._renewing = True
        try:
            if not await self._at_rest(within):
                return False
            await self.close()
            await self._agent.restart()
        finally:
            self._renewing = False
            self._tell()
        return True

    async def close(self) -> None:
        """Let go of every session; for the end, when no turn runs any more."""
        sessions = {session_id: live.session for session_id, live in self._live.items()}
        self._live.clear()
        await self._close(sessions)

    async def _out_of_use(self, session_ids: frozenset[str]) -> frozenset[str]:
        """Those of these sessions that nobody has, taken out of use."""
        try:
            async with time_limit(REAL, self._wait_seconds):
                while self._renewing:
                    await self._change.wait()
        except TimeoutError as error:
            detail = f"the runtime is being started anew; {len(session_ids)} sessions wait for it"
            raise AgentError(AgentFault.BUSY, detail) from error
        # No await from here to the caller's `try`: cancelled there, they would stay out of use.
        taken = frozenset(each for each in session_ids if not self.busy(each))
        self._reserved |= taken
        return taken

    async def _take(self, session_id: str, setup: Setup) -> AgentSession:
        """The session, held and set up."""
        try:
            async with time_limit(REAL, self._wait_seconds):
                taken = await self._live_or_place(session_id, setup)
        except TimeoutError as error:
            raise AgentError(
                AgentFault.BUSY,
                f"session {session_id}, or a place among {self._size}, did not come free",
            ) from error
        if isinstance(taken, _Place):
            if taken.retired is not None:
                await self._make_room(session_id, taken.retired)
            return await self._open(session_id, setup, held=True)
        if taken.setup != setup:
            try:
                await taken.use(setup.model, setup.effort)
            except BaseException:
                self._give_back(session_id)
                raise
        return taken

    async def _live_or_place(self, session_id: str, setup: Setup) -> AgentSession | _Place:
        """The live session, now held, or a place for it, now taken."""
        while (taken := self._try_to_take(session_id, setup)) is None:
            await self._change.wait()
        return taken

    def _try_to_take(self, session_id: str, setup: Setup) -> AgentSession | _Place | None:
        """What can be had at once; None when it has to be waited for."""
        if self._renewing or self.busy(session_id) or session_id in self._leaving:
            return None
        self._drop_dead(session_id)
        live = self._live.get(session_id)
        if live is not None and _differ_by_model_only(live.session.setup, setup):
            live.held = True
            self._live.move_to_end(session_id)
            return live.session
        if live is not None:
            # What the model is told, and its tools, are given when a session is opened.
            retired: AgentSession | None = live.session
            del self._live[session_id]
        elif self._has_room():
            retired = None
        else:
            retired = self._retire_longest_idle()
            if retired is None:
                return None
        self._opening.add(session_id)
        return _Place(retired)

    def _has_room(self) -> bool:
        return len(self._live) + len(self._opening) < self._size

    def _retire_longest_idle(self) -> AgentSession | None:
        for session_id, live in self._live.items():
            if not live.held:
                del self._live[session_id]
                log.debug("session %s makes room in the pool", session_id)
                return live.session
        return None

    def _drop_dead(self, session_id: str) -> None:
        """Forget a session that nobody holds and whose runtime has gone."""
        live = self._live.get(session_id)
        if live is not None and not live.held and not live.session.alive:
            del self._live[session_id]

    async def _make_room(self, session_id: str, retired: AgentSession) -> None:
        """Close the session whose place is taken for another one, or for itself set up anew."""
        try:
            await self._close({retired.id: retired})
        except BaseException:
            self._opening.discard(session_id)
            self._tell()
            raise

    async def _open(self, session_id: str, setup: Setup, *, held: bool) -> AgentSession:
        """Open a session whose place is taken."""
        try:
            session = await self._agent.open(session_id, setup)
            # No await after this one: cancelled there, the session would be open and nobody's.
            self._live[session_id] = _Live(session, held)
        finally:
            self._opening.discard(session_id)
            self._tell()
        return session

    async def _close(self, sessions: dict[str, AgentSession]) -> None:
        """Close sessions that are out of the pool already; nobody opens them meanwhile."""

        def closed(_: object) -> None:
            self._leaving.difference_update(sessions)
            self._tell()

        self._leaving.update(sessions)
        closing = asyncio.gather(*(session.close() for session in sessions.values()))
        closing.add_done_callback(closed)
        # Shielded: half closed, a session would stay in the runtime and be nobody's.
        await asyncio.shield(closing)

    async def _at_rest(self, within: float) -> bool:
        """Wait until nobody has, opens or closes a session; False when that takes too long."""
        try:
            async with asyncio.timeout(within):
                while (
                    self._opening
                    or self._leaving
                    or self._reserved
                    or any(live.held for live in self._live.values())
                ):
                    await self._change.wait()
        except TimeoutError:
            return False
        return True

    def _give_back(self, session_id: str) -> None:
        live = self._live.get(session_id)
        if live is not None:
            live.held = False
            self._drop_dead(session_id)
        self._tell()

    def _tell(self) -> None:
        """Let everybody who waits look again."""
        self._change.set()
        self._change = asyncio.Event()


def _differ_by_model_only(now: Setup, wanted: Setup) -> bool:
    """A model, and its effort, can be changed in a live session; also when nothing differs."""
    return replace(now, model=wanted.model, effort=wanted.effort) == wanted
