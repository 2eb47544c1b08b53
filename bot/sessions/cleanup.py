"""What is old and how it goes: one code for the order in Slack, the timer and the shell.

A session goes from the runtime first, then from the record. Whatever interrupts that, a `kill -9`
too, leaves a record whose session is gone: the same cleanup finds it again and ends what was begun.

Orphans are what has lost its other half: sessions of the runtime that are on no record (nobody can
reach them), and records whose session the runtime has no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from bot.domain.sessions import SessionRecord, Totals
from bot.errors import BotError
from bot.ports import Agent, Clock, Store
from bot.sessions.cleanup_filter import Narrowing
from bot.sessions.lock_files import count_stale, remove_stale

log = logging.getLogger(__name__)

BATCH: Final = 50
"""Sessions that go at once; between two batches a cleanup can be cancelled."""
SETTLE_SECONDS: Final = 2.0
"""A copy of a session is on record moments after the runtime has made it: what is on no record is
looked at again after this time before it counts as an orphan."""
_NONE: Final = Totals(count=0, size=0, oldest=0.0, newest=0.0)


class CleanupRuns(BotError):
    """A cleanup is under way: one at a time."""

    sentence = "A cleanup is under way already. Please wait until it is done, or cancel it."


class Pool(Protocol):
    """The live sessions, as far as a cleanup is concerned."""

    def reserved(self, session_ids: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """As `bot.sessions.pool.Sessions.reserved`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a cleanup would find."""

    sessions: Totals
    unreachable: int
    """Sessions of the runtime that are on no record."""
    unreachable_bytes: int
    lost: int
    """Records whose session the runtime has no more."""
    locks: int
    """Marks of use that dead runtimes left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a cleanup has done so far, or in the end."""

    deleted: int = 0
    """Sessions that were on record and are gone."""
    bytes: int = 0
    """What that and the orphans freed on disk."""
    skipped: int = 0
    """Those that somebody is using."""
    orphans: int = 0
    """Of both kinds."""
    locks: int = 0
    failed: int = 0
    """Those that could not be deleted; a cleanup ends at the first that cannot."""
    cancelled: bool = False
    trouble: str = ""
    """The sentence why it ended early, where it did."""

    @property
    def whole(self) -> bool:
        """Whether it came to its end."""
        return not self.cancelled and not self.trouble


Progress = Callable[[Report], Awaitable[None]]
"""Told how far a cleanup has come."""
Which = Callable[[Sequence[SessionRecord]], Awaitable[None]]
"""Told which sessions are about to go, or have gone."""


async def _unheard(_: object) -> None:
    """For those who do not want to be told."""


@dataclass(slots=True, kw_only=True)
class _Round:
    """One cleanup under way: who is told, and what it has come to."""

    progress: Progress
    going: Which
    gone: Which
    cancelled: Callable[[], bool]
    report: Report = field(default_factory=Report)

    async def goes_on(self) -> bool:
        """Whether it may begin another batch."""
        if self.cancelled():
            self.report = replace(self.report, cancelled=True)
        return self.report.whole

    async def did(
        self, *, deleted: int = 0, octets: int = 0, skipped: int = 0, orphans: int = 0
    ) -> None:
        """Add what a batch did, and tell."""
        sofar = self.report
        self.report = replace(
            sofar,
            deleted=sofar.deleted + deleted,
            bytes=sofar.bytes + octets,
            skipped=sofar.skipped + skipped,
            orphans=sofar.orphans + orphans,
        )
        await self.progress(self.report)


class Cleanup:
    """Finds what is old and deletes it, one cleanup at a time."""

    def __init__(
        self, store: Store, agent: Agent, pool: Pool, clock: Clock, *, sessions: Path
    ) -> None:
        """`sessions` is the folder in which the runtime keeps its sessions
        (`bot.sessions.lock_files.folder_of_sessions`)."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._clock = clock
        self._sessions = sessions
        self._one = asyncio.Lock()

    @property
    def runs(self) -> bool:
        """Whether a cleanup is under way."""
        return self._one.locked()

    async def preview(self, meant: Narrowing) -> Preview:
        """What a cleanup would find now. Raises `AgentError`, `StoreError`."""
        unmatched = await self._store.note_sizes(await self._agent.stored())
        return Preview(
            sessions=_NONE if meant.orphans else await self._store.totals(meant.wanted),
            unreachable=len(unmatched.unrecorded),
            unreachable_bytes=sum(unmatched.unrecorded.values()),
            lost=unmatched.unsized,
            locks=await asyncio.to_thread(count_stale, self._sessions),
        )

    async def run(
        self,
        meant: Narrowing,
        *,
        progress: Progress = _unheard,
        going: Which = _unheard,
        gone: Which = _unheard,
        cancelled: Callable[[], bool] = lambda: False,
        orphans: bool = True,
    ) -> Report:
        """Delete the sessions that are meant and that nobody uses, oldest used first.

        With `orphans` also what the runtime has on no record, and left-behind locks; records whose
        session is gone go where they are meant, and all of them with `Narrowing.orphans`.
        `progress` is told after each batch, `going` which sessions are about to go in it and `gone`
        which went; before each batch `cancelled` is asked.

        Trouble ends it early and is in the report. Raises `CleanupRuns` when one is under way.
        """
        if self._one.locked():
            raise CleanupRuns("a cleanup is under way")
        async with self._one:
            work = _Round(progress=progress, going=going, gone=gone, cancelled=cancelled)
            try:
                if not meant.orphans:
                    await self._delete_meant(meant, work)
                if orphans:
                    await self._delete_orphans(work, records=meant.orphans)
            except BotError as error:
                log.warning("a cleanup ends early: %s", error)
                work.report = replace(work.report, trouble=error.sentence)
            log.info("a cleanup has ended: %s", work.report)
            return work.report

    async def _delete_meant(self, meant: Narrowing, work: _Round) -> None:
        """From the oldest on: what stays is passed over, and counted from the end of the list."""
        left = (await self._store.totals(meant.wanted)).count
        stays, skipped = 0, set[int]()
        while left > stays and await work.goes_on():
            offset = max(0, left - stays - BATCH)
            page = await self._store.sessions(meant.wanted, offset, left - stays - offset)
            if page.total != left:
                # Others used or deleted some: what was passed over may have moved up.
                stays = max(0, stays - abs(left - page.total))
                left = page.total
                continue
            free, octets = await self._delete(page.sessions, work)
            busy = {each.number for each in page.sessions} - {each.number for each in free}
            await work.gone(free)
            await work.did(deleted=len(free), octets=octets, skipped=len(busy - skipped))
            skipped |= busy
            stays += len(busy)
            left -= len(free)

    async def _delete_orphans(self, work: _Round, *, records: bool) -> None:
        unreachable, lost = await self._orphans()
        if unreachable or (lost and records):
            await self._clock.sleep(SETTLE_SECONDS)
            again = await self._orphans()
            unreachable &= again[0]
            lost &= again[1]
        for batch in _batches(sorted(unreachable)):
            if not await work.goes_on():
                return
            async with self._pool.reserved(batch) as free:
                octets = await self._delete_ids(sorted(free), work)
            await work.did(orphans=len(free), octets=octets)
        for batch in _batches(sorted(lost)) if records else ():
            if not await work.goes_on():
                return
            sessions = await self._asked(batch)
            async with self._pool.reserved(batch) as free:
                idle = await self._idle(sessions, free)
                await work.going(idle)
                dropped = await self._store.drop([session.number for session in idle])
            await work.gone(idle)
            await work.did(orphans=dropped)
        if await work.goes_on():
            locks = await asyncio.to_thread(remove_stale, self._sessions)
            work.report = replace(work.report, locks=locks)

    async def _orphans(self) -> tuple[set[str], set[str]]:
        """Ids of the runtime's sessions that are on no record, and of records that the runtime
        has no session of (or not yet)."""
        stored = (await self._agent.stored()).keys()
        known = await self._store.session_ids()
        return set(stored - known), set(known - stored)

    async def _delete(
        self, sessions: Sequence[SessionRecord], work: _Round
    ) -> tuple[Sequence[SessionRecord], int]:
        """Delete those of a batch that nobody uses, the runtime's sessions first; which these were,
        and the bytes freed. A turn that is begun meanwhile gets none of them."""
        async with self._pool.reserved([session.id for session in sessions]) as free:
            idle = await self._idle(sessions, free)
            if not idle:
                return idle, 0
            await work.going(idle)
            octets = await self._delete_ids([session.id for session in idle], work)
            await self._store.drop([session.number for session in idle])
        return idle, octets

    async def _delete_ids(self, session_ids: Sequence[str], work: _Round) -> int:
        """Delete sessions of the runtime; the bytes freed."""
        try:
            return sum((await self._agent.delete(session_ids)).values()) if session_ids else 0
        except BotError:
            work.report = replace(work.report, failed=work.report.failed + len(session_ids))
            raise

    async def _idle(
        self, sessions: Iterable[SessionRecord], free: frozenset[str]
    ) -> list[SessionRecord]:
        """Those that nobody uses: not held, not used since they were looked up, and nothing runs or
        waits in their thread. To be asked while the free ones (by id) are reserved."""
        found = []
        for session in sessions:
            now = await self._store.session(session.number)
            if session.id not in free or now is None or now.used != session.used:
                continue
            running = await self._store.running(now.thread)
            if running is None and not await self._store.waiting(now.thread):
                found.append(now)
        return found

    async def _asked(self, session_ids: Iterable[str]) -> list[SessionRecord]:
        """The records with these ids that were asked: the runtime should have them."""
        found = []
        for session_id in sorted(session_ids):
            session = await self._store.session_by_id(session_id)
            if session is not None and session.asked:
                found.append(session)
        return found


def _batches(session_ids: Sequence[str]) -> list[Sequence[str]]:
    return [session_ids[begin : begin + BATCH] for begin in range(0, len(session_ids), BATCH)]
