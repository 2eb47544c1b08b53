"""Deletes sessions by a filter: for the command in Slack, the timer and the shell.

A session is deleted from the runtime first, then from the store. An interruption, even a `kill -9`,
leaves a record without a session: the next cleanup with the same filter finds it and deletes it.

Orphans are sessions of the runtime without a record, which no thread can reach, and records whose
session the runtime no longer has.
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
"""Number of sessions deleted together; a cleanup can be cancelled between two batches."""
ORPHAN_RECHECK_SECONDS: Final = 2.0
"""Interval, in seconds, between the two checks for orphans: the record of a copied session is saved
moments after the runtime creates the copy."""
_NO_SESSIONS: Final = SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)


class CleanupInProgress(BotError):
    """A cleanup is already running."""

    user_message = "A cleanup is already running. Wait until it is done, or cancel it."


class Pool(Protocol):
    """The part of the session pool that a cleanup uses."""

    def exclusive(self, session_ids: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """Like `bot.sessions.pool.SessionPool.exclusive`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupPreview:
    """What a cleanup would delete."""

    sessions: SessionTotals
    orphan_sessions: int
    """Number of sessions of the runtime without a record."""
    orphan_session_bytes: int
    """Size of these sessions, in bytes."""
    orphan_records: int
    """Number of records whose session the runtime no longer has."""
    stale_locks: int
    """Number of lock files that dead runtimes left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What a cleanup has done so far, or in total."""

    deleted: int = 0
    """Number of deleted sessions that had a record."""
    freed_bytes: int = 0
    """Disk space freed, orphans included, in bytes."""
    skipped: int = 0
    """Number of sessions in use, which stay."""
    orphans: int = 0
    """Number of deleted orphans of both kinds."""
    removed_locks: int = 0
    """Number of lock files removed."""
    failed: int = 0
    """Number of sessions that could not be deleted; a cleanup ends at the first failure."""
    cancelled: bool = False
    """True if it was cancelled."""
    error_text: str = ""
    """Why it ended early, for users, or an empty string."""

    @property
    def is_complete(self) -> bool:
        """True unless it was cancelled or failed."""
        return not self.cancelled and not self.error_text


OnProgress = Callable[[CleanupReport], Awaitable[None]]
"""Called with the progress of a cleanup."""
OnSessions = Callable[[Sequence[SessionRecord]], Awaitable[None]]
"""Called with the sessions that are about to be deleted, or were deleted."""


async def _ignore(_: object) -> None:
    """The default of the callbacks."""


@dataclass(slots=True, kw_only=True)
class _CleanupRun:
    """One running cleanup: its callbacks and its report."""

    on_progress: OnProgress
    on_deleting: OnSessions
    on_deleted: OnSessions
    is_cancelled: Callable[[], bool]
    report: CleanupReport = field(default_factory=CleanupReport)

    async def should_continue(self) -> bool:
        """True if another batch may begin."""
        if self.is_cancelled():
            self.report = replace(self.report, cancelled=True)
        return self.report.is_complete

    async def add_progress(
        self, *, deleted: int = 0, freed_bytes: int = 0, skipped: int = 0, orphans: int = 0
    ) -> None:
        """Add the result of a batch and report the progress."""
        so_far = self.report
        self.report = replace(
            so_far,
            deleted=so_far.deleted + deleted,
            freed_bytes=so_far.freed_bytes + freed_bytes,
            skipped=so_far.skipped + skipped,
            orphans=so_far.orphans + orphans,
        )
        await self.on_progress(self.report)


class Cleanup:
    """Finds and deletes sessions and orphans, one cleanup at a time."""

    def __init__(
        self, store: Store, agent: Agent, pool: Pool, clock: Clock, *, sessions_dir: Path
    ) -> None:
        """`sessions_dir` is the folder of the runtime's sessions
        (`bot.sessions.lock_files.folder_of_sessions`)."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._clock = clock
        self._sessions_dir = sessions_dir
        self._lock = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """True while a cleanup runs."""
        return self._lock.locked()

    async def preview(self, cleanup_filter: CleanupFilter) -> CleanupPreview:
        """What a cleanup would delete now. Raises `AgentError`, `StoreError`."""
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
        """Delete the sessions that match the filter and are not in use, least recently used first.

        With `include_orphans` it also deletes sessions of the runtime without a record, and stale
        locks. Records without a session are deleted if they match; with
        `CleanupFilter.orphans_only` all of them are. `on_progress` is called after each batch,
        `on_deleting` and `on_deleted` with the sessions of a batch before and after their deletion.
        `is_cancelled` is called before each batch.

        A failure ends the cleanup early and is in the report. Raises `CleanupInProgress` if one
        is already running.
        """
        if self._lock.locked():
            raise CleanupInProgress("a cleanup is already running")
        async with self._lock:
            run = _CleanupRun(
                on_progress=on_progress,
                on_deleting=on_deleting,
                on_deleted=on_deleted,
                is_cancelled=is_cancelled,
            )
            try:
                if not cleanup_filter.orphans_only:
                    await self._delete_matching(cleanup_filter, run)
                if include_orphans:
                    await self._delete_orphans(run, records=cleanup_filter.orphans_only)
            except BotError as error:
                log.warning("cleanup failed: reason=%s", error)
                run.report = replace(run.report, error_text=error.user_message)
            log.info("cleanup ended: %s", run.report)
            return run.report

    async def _delete_matching(self, cleanup_filter: CleanupFilter, run: _CleanupRun) -> None:
        """Delete from the end of the list, the oldest sessions; skipped ones stay there."""
        left = (await self._store.session_totals(cleanup_filter.session_filter)).count
        kept, skipped = 0, set[int]()
        while left > kept and await run.should_continue():
            offset = max(0, left - kept - BATCH_SIZE)
            page = await self._store.list_sessions(
                cleanup_filter.session_filter, offset, left - kept - offset
            )
            if page.total != left:
                # Sessions were used or deleted in between: the skipped ones may have moved up.
                kept = max(0, kept - abs(left - page.total))
                left = page.total
                continue
            free, freed_bytes = await self._delete_batch(page.sessions, run)
            busy = {each.number for each in page.sessions} - {each.number for each in free}
            await run.on_deleted(free)
            await run.add_progress(
                deleted=len(free), freed_bytes=freed_bytes, skipped=len(busy - skipped)
            )
            skipped |= busy
            kept += len(busy)
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
                freed_bytes = await self._delete_ids(sorted(free), run)
            await run.add_progress(orphans=len(free), freed_bytes=freed_bytes)
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
        """Ids of the runtime's sessions without a record, and of records without a session in the
        runtime; some of these have none yet."""
        stored = (await self._agent.stored_sizes()).keys()
        known = await self._store.session_ids()
        return set(stored - known), set(known - stored)

    async def _delete_batch(
        self, sessions: Sequence[SessionRecord], run: _CleanupRun
    ) -> tuple[Sequence[SessionRecord], int]:
        """Delete the sessions of a batch that are not in use, from the runtime first. Returns the
        deleted sessions and the freed bytes. A turn that starts during this gets none of them."""
        async with self._pool.exclusive([session.id for session in sessions]) as free:
            idle = await self._unused_sessions(sessions, free)
            if not idle:
                return idle, 0
            await run.on_deleting(idle)
            freed_bytes = await self._delete_ids([session.id for session in idle], run)
            await self._store.delete_sessions([session.number for session in idle])
        return idle, freed_bytes

    async def _delete_ids(self, session_ids: Sequence[str], run: _CleanupRun) -> int:
        """Delete sessions of the runtime. Returns the freed bytes."""
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
        """The sessions that are not in use. They are not held, were not used since they were
        listed, and no turn runs or waits in their thread. The caller reserves the ids in `free`."""
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
        """The records with these ids that had a turn: the runtime should have their sessions."""
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
