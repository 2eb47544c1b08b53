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

from bot.domain.sessions import SessionRecord, SessionTotals
from bot.errors import BotError
from bot.ports import Agent, Clock, Store
from bot.sessions.cleanup_filter import CleanupFilter
from bot.sessions.lock_files import count_stale, remove_stale

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 50
"""Sessions that go at once; between two batches a cleanup can be cancelled."""
ORPHAN_RECHECK_SECONDS: Final = 2.0
"""A copy of a session is on record moments after the runtime has made it: what is on no record is
looked at again after this time before it counts as an orphan."""
_NO_SESSIONS: Final = SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)


class CleanupInProgress(BotError):
    """A cleanup is under way: one at a time."""

    user_message = "A cleanup is under way already. Please wait until it is done, or cancel it."


class Pool(Protocol):
    """The live sessions, as far as a cleanup is concerned."""

    def exclusive(self, session_ids: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """As `bot.sessions.pool.SessionPool.exclusive`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPreview:
    """What a cleanup would find."""

    sessions: SessionTotals
    orphan_sessions: int
    """Sessions of the runtime that are on no record."""
    orphan_session_bytes: int
    orphan_records: int
    """Records whose session the runtime has no more."""
    stale_locks: int
    """Marks of use that dead runtimes left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What a cleanup has done so far, or in the end."""

    deleted: int = 0
    """Sessions that were on record and are gone."""
    freed_bytes: int = 0
    """What that and the orphans freed on disk."""
    skipped: int = 0
    """Those that somebody is using."""
    orphans: int = 0
    """Of both kinds."""
    removed_locks: int = 0
    failed: int = 0
    """Those that could not be deleted; a cleanup ends at the first that cannot."""
    cancelled: bool = False
    error_text: str = ""
    """The sentence why it ended early, where it did."""

    @property
    def is_complete(self) -> bool:
        """Whether it came to its end."""
        return not self.cancelled and not self.error_text


OnProgress = Callable[[CleanupReport], Awaitable[None]]
"""Told how far a cleanup has come."""
OnSessions = Callable[[Sequence[SessionRecord]], Awaitable[None]]
"""Told which sessions are about to go, or have gone."""


async def _ignore(_: object) -> None:
    """For those who do not want to be told."""


@dataclass(slots=True, kw_only=True)
class _CleanupRun:
    """One cleanup under way: who is told, and what it has come to."""

    on_progress: OnProgress
    on_deleting: OnSessions
    on_deleted: OnSessions
    is_cancelled: Callable[[], bool]
    report: CleanupReport = field(default_factory=CleanupReport)

    async def should_continue(self) -> bool:
        """Whether it may begin another batch."""
        if self.is_cancelled():
            self.report = replace(self.report, cancelled=True)
        return self.report.is_complete

    async def add_progress(
        self, *, deleted: int = 0, freed_bytes: int = 0, skipped: int = 0, orphans: int = 0
    ) -> None:
        """Add what a batch did, and tell."""
        sofar = self.report
        self.report = replace(
            sofar,
            deleted=sofar.deleted + deleted,
            freed_bytes=sofar.freed_bytes + freed_bytes,
            skipped=sofar.skipped + skipped,
            orphans=sofar.orphans + orphans,
        )
        await self.on_progress(self.report)


class Cleanup:
    """Finds what is old and deletes it, one cleanup at a time."""

    def __init__(
        self, store: Store, agent: Agent, pool: Pool, clock: Clock, *, sessions_dir: Path
    ) -> None:
        """`sessions` is the folder in which the runtime keeps its sessions
        (`bot.sessions.lock_files.folder_of_sessions`)."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._clock = clock
        self._sessions_dir = sessions_dir
        self._lock = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether a cleanup is under way."""
        return self._lock.locked()

    async def preview(self, cleanup_filter: CleanupFilter) -> CleanupPreview:
        """What a cleanup would find now. Raises `AgentError`, `StoreError`."""
        unmatched = await self._store.save_sizes(await self._agent.stored_sizes())
        return CleanupPreview(
            sessions=_NO_SESSIONS
            if cleanup_filter.orphans_only
            else await self._store.session_totals(cleanup_filter.session_filter),
            orphan_sessions=len(unmatched.orphan_sizes),
            orphan_session_bytes=sum(unmatched.orphan_sizes.values()),
            orphan_records=unmatched.missing_count,
            stale_locks=await asyncio.to_thread(count_stale, self._sessions_dir),
        )

    async def run(
        self,
        cleanup_filter: CleanupFilter,
        *,
        on_progress: OnProgress = _ignore,
        on_deleting: OnSessions = _ignore,
        on_deleted: OnSessions = _ignore,
        is_cancelled: Callable[[], bool] = lambda: False,
        include_orphans: bool = True,
    ) -> CleanupReport:
        """Delete the sessions that are meant and that nobody uses, oldest used first.

        With `orphans` also what the runtime has on no record, and left-behind locks; records whose
        session is gone go where they are meant, and all of them with `CleanupFilter.orphans_only`.
        `progress` is told after each batch, `going` which sessions are about to go in it and `gone`
        which went; before each batch `cancelled` is asked.

        Trouble ends it early and is in the report. Raises `CleanupInProgress` when one is under
        way.
        """
        if self._lock.locked():
            raise CleanupInProgress("a cleanup is under way")
        async with self._lock:
            work = _CleanupRun(
                on_progress=on_progress,
                on_deleting=on_deleting,
                on_deleted=on_deleted,
                is_cancelled=is_cancelled,
            )
            try:
                if not cleanup_filter.orphans_only:
                    await self._delete_matching(cleanup_filter, work)
                if include_orphans:
                    await self._delete_orphans(work, records=cleanup_filter.orphans_only)
            except BotError as error:
                log.warning("a cleanup ends early: %s", error)
                work.report = replace(work.report, error_text=error.user_message)
            log.info("a cleanup has ended: %s", work.report)
            return work.report

    async def _delete_matching(self, cleanup_filter: CleanupFilter, run: _CleanupRun) -> None:
        """From the oldest on: what stays is passed over, and counted from the end of the list."""
        left = (await self._store.session_totals(cleanup_filter.session_filter)).count
        stays, skipped = 0, set[int]()
        while left > stays and await run.should_continue():
            offset = max(0, left - stays - BATCH_SIZE)
            page = await self._store.list_sessions(
                cleanup_filter.session_filter, offset, left - stays - offset
            )
            if page.total != left:
                # Others used or deleted some: what was passed over may have moved up.
                stays = max(0, stays - abs(left - page.total))
                left = page.total
                continue
            free, octets = await self._delete_batch(page.sessions, run)
            busy = {each.number for each in page.sessions} - {each.number for each in free}
            await run.on_deleted(free)
            await run.add_progress(
                deleted=len(free), freed_bytes=octets, skipped=len(busy - skipped)
            )
            skipped |= busy
            stays += len(busy)
            left -= len(free)

    async def _delete_orphans(self, run: _CleanupRun, *, records: bool) -> None:
        unreachable, lost = await self._find_orphans()
        if unreachable or (lost and records):
            await self._clock.sleep(ORPHAN_RECHECK_SECONDS)
            again = await self._find_orphans()
            unreachable &= again[0]
            lost &= again[1]
        for batch in _batches(sorted(unreachable)):
            if not await run.should_continue():
                return
            async with self._pool.exclusive(batch) as free:
                octets = await self._delete_ids(sorted(free), run)
            await run.add_progress(orphans=len(free), freed_bytes=octets)
        for batch in _batches(sorted(lost)) if records else ():
            if not await run.should_continue():
                return
            sessions = await self._prompted_sessions(batch)
            async with self._pool.exclusive(batch) as free:
                idle = await self._unused_sessions(sessions, free)
                await run.on_deleting(idle)
                dropped = await self._store.delete_sessions([session.number for session in idle])
            await run.on_deleted(idle)
            await run.add_progress(orphans=dropped)
        if await run.should_continue():
            locks = await asyncio.to_thread(remove_stale, self._sessions_dir)
            run.report = replace(run.report, removed_locks=locks)

    async def _find_orphans(self) -> tuple[set[str], set[str]]:
        """Ids of the runtime's sessions that are on no record, and of records that the runtime
        has no session of (or not yet)."""
        stored = (await self._agent.stored_sizes()).keys()
        known = await self._store.session_ids()
        return set(stored - known), set(known - stored)

    async def _delete_batch(
        self, sessions: Sequence[SessionRecord], run: _CleanupRun
    ) -> tuple[Sequence[SessionRecord], int]:
        """Delete those of a batch that nobody uses, the runtime's sessions first; which these were,
        and the bytes freed. A turn that is begun meanwhile gets none of them."""
        async with self._pool.exclusive([session.id for session in sessions]) as free:
            idle = await self._unused_sessions(sessions, free)
            if not idle:
                return idle, 0
            await run.on_deleting(idle)
            octets = await self._delete_ids([session.id for session in idle], run)
            await self._store.delete_sessions([session.number for session in idle])
        return idle, octets

    async def _delete_ids(self, session_ids: Sequence[str], run: _CleanupRun) -> int:
        """Delete sessions of the runtime; the bytes freed."""
        try:
            return (
                sum((await self._agent.delete_sessions(session_ids)).values()) if session_ids else 0
            )
        except BotError:
            run.report = replace(run.report, failed=run.report.failed + len(session_ids))
            raise

    async def _unused_sessions(
        self, sessions: Iterable[SessionRecord], free: frozenset[str]
    ) -> list[SessionRecord]:
        """Those that nobody uses: not held, not used since they were looked up, and nothing runs or
        waits in their thread. To be asked while the free ones (by id) are reserved."""
        found = []
        for session in sessions:
            now = await self._store.session_by_number(session.number)
            if session.id not in free or now is None or now.last_used_at != session.last_used_at:
                continue
            running = await self._store.running_turn(now.thread)
            if running is None and not await self._store.waiting_turns(now.thread):
                found.append(now)
        return found

    async def _prompted_sessions(self, session_ids: Iterable[str]) -> list[SessionRecord]:
        """The records with these ids that were asked: the runtime should have them."""
        found = []
        for session_id in sorted(session_ids):
            session = await self._store.session_by_id(session_id)
            if session is not None and session.has_turns:
                found.append(session)
        return found


def _batches(session_ids: Sequence[str]) -> list[Sequence[str]]:
    return [
        session_ids[begin : begin + BATCH_SIZE] for begin in range(0, len(session_ids), BATCH_SIZE)
    ]
