"""Looks after what nobody looks after: the runtime's memory, and sessions that have grown old.

Every minute: a runtime that takes too much memory is started anew when nothing runs. Every hour:
what the person who runs the bot does not want to keep goes, those unused for the longest first, and
never one that somebody uses. Nothing that goes wrong here ends the tending.
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
RESTART_GRACE_SECONDS: Final = 5.0
"""Seconds in which running turns may end before the runtime is started anew; new ones wait."""
RESTART_INTERVAL_SECONDS: Final = 600.0
RETENTION_INTERVAL_SECONDS: Final = 3_600.0
COMPARISON_MAX_AGE_SECONDS: Final = 7 * 86_400.0
"""Seconds after which the copies of a comparison go, where none of them was kept."""
COMPARISON_INTERVAL_SECONDS: Final = 86_400.0
_DAY: Final = 86_400.0
_MB: Final = 1024**2
_PAGE_SIZE: Final = 500
_MAX_PAGES: Final = 20
"""10,000 sessions go for their size in one round; the next round takes the rest."""

STOP_TIMEOUT_SECONDS: Final = 10.0
"""How long leaving waits for what is under way to be cut short."""

AUDIT_ACTOR: Final = ""
"""Who did it, in the audit: nobody, the bot itself."""
AUDIT_ACTION: Final = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What is kept; 0 sets no limit."""

    max_runtime_memory_mb: int = 0
    """Of the runtime."""
    max_unused_days: int = 0
    max_sessions: int = 0
    max_disk_mb: int = 0
    """Of all sessions on disk."""


class Maintenance:
    """Runs in the background from entering to leaving."""

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
        self._task = asyncio.create_task(self._run(), name="tending")
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
                log.warning("given up at the end: tending")
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
                await self._run_logged("look at the runtime's memory", self._check_memory)
            if now - self._last_retention >= RETENTION_INTERVAL_SECONDS:
                self._last_retention = now
                await self._run_logged("delete old sessions", self.apply_retention)
            if now - self._last_comparison_cleanup >= COMPARISON_INTERVAL_SECONDS:
                self._last_comparison_cleanup = now
                await self._run_logged("delete old comparisons", self._delete_old_comparisons)

    async def _run_logged(self, label: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BotError as error:
            log.warning("could not %s: %s", label, error)
        except Exception:
            log.exception("could not %s", label)

    async def _check_memory(self) -> None:
        taken = await self._agent.memory_bytes()
        if taken <= self._retention.max_runtime_memory_mb * _MB:
            return
        self._last_restart = self._clock.monotonic()
        log.warning("the runtime takes %d MB: it is to be started anew", taken // _MB)
        if not await self._pool.restart_runtime(timeout=RESTART_GRACE_SECONDS):
            log.warning("the runtime is not started anew yet: too much runs")

    async def apply_retention(self) -> None:
        """Delete what is not to be kept. Raises `BotError`."""
        await self._store.save_sizes(await self._agent.stored_sizes())
        farewells = CleanupNotices(self._publisher)
        keeping, now = self._retention, self._clock.now()
        if keeping.max_unused_days:
            await self._delete(
                f"unused for {keeping.max_unused_days} days",
                SessionFilter(unused_since=now - keeping.max_unused_days * _DAY),
                farewells,
            )
        if keeping.max_sessions:
            await self._delete(
                f"beyond {keeping.max_sessions} sessions",
                SessionFilter(keep_newest=keeping.max_sessions, unused_since=now),
                farewells,
            )
        if keeping.max_disk_mb:
            kept = await self._count_that_fit(keeping.max_disk_mb * _MB)
            if kept is not None:
                await self._delete(
                    f"beyond {keeping.max_disk_mb} MB",
                    SessionFilter(keep_newest=kept, unused_since=now),
                    farewells,
                )
        if farewells.unnotified_count:
            log.info(
                "%d threads were not told that their session is gone", farewells.unnotified_count
            )

    async def _count_that_fit(self, max_bytes: int) -> int | None:
        """How many of the newest sessions fit into so many bytes; None when all do."""
        everything = await self._store.session_totals(SessionFilter())
        excess, left = everything.size - max_bytes, everything.count
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
        return left if left < everything.count else None

    async def _delete_old_comparisons(self) -> None:
        """Copies that were made to answer one question, where another answer, or none, was kept."""
        since = self._clock.now() - COMPARISON_MAX_AGE_SECONDS
        await self._delete(
            "comparisons of which no answer was kept",
            SessionFilter(comparison_copies=True, unused_since=since),
            CleanupNotices(self._publisher, max_notices=0),
        )

    async def _delete(
        self, reason: str, session_filter: SessionFilter, notices: CleanupNotices
    ) -> None:
        begun = False

        async def going(_: Sequence[SessionRecord]) -> None:
            """It is on record before anything goes, and only where something does."""
            nonlocal begun
            if not begun:
                begun = True
                await self._store.add_audit_entry(AUDIT_ACTOR, AUDIT_ACTION, reason, "begun")

        report: CleanupReport = await self._cleanup.run(
            CleanupFilter(session_filter=session_filter),
            on_deleting=going,
            on_deleted=notices.notify_threads,
            include_orphans=False,
        )
        if begun:
            detail = f"{report.deleted} sessions, {report.freed_bytes} bytes"
            await self._store.add_audit_entry(AUDIT_ACTOR, AUDIT_ACTION, reason, detail)
