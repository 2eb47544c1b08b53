"""Runs background maintenance: the runtime's memory limit and the retention policy.

Every minute it checks the memory of the runtime: above the limit the runtime is restarted while no
turn runs. Every hour it deletes the sessions that the retention policy excludes, least recently
used first, and never a session in use. A failure does not end the maintenance.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from bot.domain.sessions import SessionFilter, SessionRecord
from bot.errors import BotError
from bot.ports import Agent, CardPublisher, Clock, Store
from bot.sessions.cleanup import Cleanup, CleanupReport
from bot.sessions.cleanup_filter import CleanupFilter
from bot.sessions.cleanup_notices import CleanupNotices
from bot.sessions.pool import SessionPool

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 60.0
"""Interval between two rounds, in seconds."""
RESTART_GRACE_SECONDS: Final = 5.0
"""Maximum time for running turns to end before a restart of the runtime; new turns wait."""
RESTART_INTERVAL_SECONDS: Final = 600.0
"""Minimum interval between two restarts, in seconds."""
RETENTION_INTERVAL_SECONDS: Final = 3_600.0
"""Interval between two runs of the retention policy, in seconds."""
COMPARISON_MAX_AGE_SECONDS: Final = 7 * 86_400.0
"""Maximum age, in seconds, of the sessions of a comparison without a kept answer."""
COMPARISON_INTERVAL_SECONDS: Final = 86_400.0
"""Interval between two cleanups of comparisons, in seconds."""
_DAY: Final = 86_400.0
_MB: Final = 1024**2
_PAGE_SIZE: Final = 500
"""Number of sessions read together."""
_MAX_PAGES: Final = 20
"""Maximum number of pages in one round: 10,000 sessions; the next round continues."""

STOP_TIMEOUT_SECONDS: Final = 10.0
"""Timeout, in seconds, for cancelled work to end on leaving."""

_OLD_COMPARISONS: Final = "comparisons of which no answer was kept"
"""The target in the audit log, which stores it: it stays as it is."""
AUDIT_ACTOR: Final = ""
"""The actor in the audit log; empty for the bot itself."""
AUDIT_ACTION: Final = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Limits on what is kept; 0 sets no limit."""

    max_runtime_memory_mb: int = 0
    """Maximum memory of the runtime, in MB; above it the runtime is restarted."""
    max_unused_days: int = 0
    """Maximum time since the last use of a session, in days."""
    max_sessions: int = 0
    """Maximum number of sessions."""
    max_disk_mb: int = 0
    """Maximum size of all sessions on disk, in MB."""


class Maintenance:
    """Runs in the background while inside."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        pool: SessionPool,
        cleanup: Cleanup,
        publisher: CardPublisher,
        clock: Clock,
        retention: RetentionPolicy,
    ) -> None:
        self._store = store
        self._agent = agent
        self._pool = pool
        self._cleanup = cleanup
        self._publisher = publisher
        self._clock = clock
        self._retention = retention
        self._task: asyncio.Task[None] | None = None
        self._last_restart = self._last_retention = self._last_comparison_cleanup = float("-inf")

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="maintenance")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if self._task is not None:
            self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=STOP_TIMEOUT_SECONDS)
            if late:
                log.warning("maintenance does not end on close")
            self._task = None
        return False

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            now = self._clock.monotonic()
            if (
                self._retention.max_runtime_memory_mb
                and now - self._last_restart >= RESTART_INTERVAL_SECONDS
            ):
                await self._run_logged("memory check", self._check_memory)
            if now - self._last_retention >= RETENTION_INTERVAL_SECONDS:
                self._last_retention = now
                await self._run_logged("retention", self.apply_retention)
            if now - self._last_comparison_cleanup >= COMPARISON_INTERVAL_SECONDS:
                self._last_comparison_cleanup = now
                await self._run_logged("comparison cleanup", self._delete_old_comparisons)

    async def _run_logged(self, label: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BotError as error:
            log.warning("%s failed: reason=%s", label, error)
        except Exception:
            log.exception("%s failed", label)

    async def _check_memory(self) -> None:
        used_bytes = await self._agent.memory_bytes()
        if used_bytes <= self._retention.max_runtime_memory_mb * _MB:
            return
        self._last_restart = self._clock.monotonic()
        log.warning("runtime above its memory limit, restarting: used_mb=%d", used_bytes // _MB)
        if not await self._pool.restart_runtime(timeout=RESTART_GRACE_SECONDS):
            log.warning("runtime not restarted yet: turns are running")

    async def apply_retention(self) -> None:
        """Delete the sessions that the policy excludes. Raises `BotError`."""
        await self._store.save_sizes(await self._agent.stored_sizes())
        notices = CleanupNotices(self._publisher)
        policy, now = self._retention, self._clock.now()
        if policy.max_unused_days:
            await self._delete(
                f"unused for {policy.max_unused_days} days",
                SessionFilter(unused_since=now - policy.max_unused_days * _DAY),
                notices,
            )
        if policy.max_sessions:
            await self._delete(
                f"beyond {policy.max_sessions} sessions",
                SessionFilter(keep_newest=policy.max_sessions, unused_since=now),
                notices,
            )
        if policy.max_disk_mb:
            kept = await self._count_that_fit(policy.max_disk_mb * _MB)
            if kept is not None:
                await self._delete(
                    f"beyond {policy.max_disk_mb} MB",
                    SessionFilter(keep_newest=kept, unused_since=now),
                    notices,
                )
        if notices.unnotified_count:
            log.info(
                "cleanup notices above the maximum, not posted: threads=%d",
                notices.unnotified_count,
            )

    async def _count_that_fit(self, max_bytes: int) -> int | None:
        """The number of newest sessions that fit into `max_bytes`; None if all do."""
        totals = await self._store.session_totals(SessionFilter())
        excess, left = totals.size - max_bytes, totals.count
        for _ in range(_MAX_PAGES):
            if excess <= 0 or left <= 0:
                break
            offset = max(0, left - _PAGE_SIZE)
            page = await self._store.list_sessions(SessionFilter(), offset, left - offset)
            for session in reversed(page.sessions):
                if excess <= 0:
                    break
                excess -= session.size
                left -= 1
        return left if left < totals.count else None

    async def _delete_old_comparisons(self) -> None:
        """Delete old copies made for a comparison in which another answer, or none, was kept."""
        since = self._clock.now() - COMPARISON_MAX_AGE_SECONDS
        await self._delete(
            _OLD_COMPARISONS,
            SessionFilter(comparison_copies=True, unused_since=since),
            CleanupNotices(self._publisher, max_notices=0),
        )

    async def _delete(
        self, reason: str, session_filter: SessionFilter, notices: CleanupNotices
    ) -> None:
        recorded = False

        async def on_deleting(_: Sequence[SessionRecord]) -> None:
            """Record the deletion before it begins, and only if anything is deleted."""
            nonlocal recorded
            if not recorded:
                recorded = True
                await self._store.add_audit_entry(AUDIT_ACTOR, AUDIT_ACTION, reason, "begun")

        report: CleanupReport = await self._cleanup.run(
            CleanupFilter(session_filter=session_filter),
            on_deleting=on_deleting,
            on_deleted=notices.notify_threads,
            include_orphans=False,
        )
        if recorded:
            detail = f"{report.deleted} sessions, {report.freed_bytes} bytes"
            await self._store.add_audit_entry(AUDIT_ACTOR, AUDIT_ACTION, reason, detail)
