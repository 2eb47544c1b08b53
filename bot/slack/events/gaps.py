"""Detects gaps in the received events, also across restarts, and has them filled.

While the bot is connected it saves a checkpoint every minute. After a start or a disconnect it
reads the messages since then. The checkpoint does not move until that is done, so a bot that
crashes reads them again. A gap is filled when every target was read that can be read.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bot.domain.messages import Message, ThreadKey
from bot.domain.turns import AcceptResult
from bot.errors import BotError, StoreError
from bot.ports import Checkpoint, CheckpointStore, Clock
from bot.slack.events.backfill import BackfillProgress, BackfillReport
from bot.tasks import BackgroundTasks, wait_for_event

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 10.0
SAVE_SECONDS: Final = 60.0

OVERLAP_SECONDS: Final = 420.0
"""Time in seconds before the checkpoint that is read as well. Slack may still retry failed
deliveries for so long (at once, after a minute and after five: docs.slack.dev/apis/events-api). A
dead connection may also pass for one that is up. One minute is a reserve."""

MAX_CLOCK_DRIFT_SECONDS: Final = 60.0
"""Maximum difference in seconds between clock and checkpoint, which is updated every ten seconds.
If it is further ahead, the clock was set back. If it is further behind, the clock was set forward
or the machine slept, and then no events were received."""

RETRY_SECONDS: Final = 10.0
"""Pause in seconds before a retry; doubled with each try."""
MAX_RETRY_SECONDS: Final = 300.0

_CLOSE_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Gap:
    """A period in which events may have been missed."""

    start: float
    progress: BackfillProgress = field(default_factory=BackfillProgress)
    retry_seconds: float = RETRY_SECONDS
    not_before: float = -math.inf
    """Time of the next try, on the clock's `monotonic`."""


class GapMonitor:
    """Keeps the checkpoint and fills gaps; there is one for the bot."""

    def __init__(
        self,
        store: CheckpointStore,
        clock: Clock,
        backfill: Callable[[float, BackfillProgress], Awaitable[BackfillReport]],
        *,
        max_seconds: float,
    ) -> None:
        """`backfill` delivers the messages since a time, without those already in its progress. A
        gap is read for at most `max_seconds` back."""
        self._store = store
        self._clock = clock
        self._backfill = backfill
        self._max_seconds = max_seconds
        self._connected = False
        self._has_new_gap = False
        """True if there is a gap that has not been tried yet."""
        self._retry_now = False
        """True if the bot was reconnected, so that a transient error may be over."""
        self._unread_since = math.inf
        self._gap: _Gap | None = None
        self._changed = asyncio.Event()
        self._checkpoint: Checkpoint | None = None
        self._saved_at = -math.inf

    @property
    def has_gap(self) -> bool:
        """True if there is a gap that has not been filled yet."""
        return self._has_new_gap or self._gap is not None

    def set_connected(self, connected: bool) -> None:
        """Handle a change of the connection. True also reports a break that was noticed late: then
        events may have been missed until now."""
        self._connected = connected
        self._has_new_gap = self._has_new_gap or connected
        self._retry_now = self._retry_now or connected
        self._changed.set()

    def report_unread(self, since: float) -> None:
        """Report a gap since a time (seconds since the epoch): a message was missed and could not
        be read, though all others were received."""
        self._unread_since = min(self._unread_since, since)
        self._has_new_gap = True
        self._changed.set()

    @asynccontextmanager
    async def monitoring(self) -> AsyncIterator[None]:
        """Fill gaps inside the context, without blocking the events received at the same time."""
        task = asyncio.create_task(self._run(), name="gap monitor")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS)
            if task.done() and not self.has_gap:
                await self._save_last_checkpoint()

    async def _run(self) -> None:
        self._checkpoint = await self._load_checkpoint()
        while True:
            try:
                if self._connected and self.has_gap:
                    await self._fill_gap()
                await self._update_checkpoint()
            except Exception:
                log.exception("gap monitor failed, going on")
            await wait_for_event(self._changed, self._clock, CHECK_SECONDS)
            self._changed.clear()

    async def _load_checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the last run, or None at the first start, which has no gap. Retried
        until the database returns it: until then no messages are accepted, either."""
        pause = RETRY_SECONDS
        while True:
            try:
                return await self._store.load_checkpoint()
            except StoreError as error:
                log.warning("checkpoint not loaded yet: reason=%s", error)
            await self._clock.sleep(pause)
            pause = min(2 * pause, MAX_RETRY_SECONDS)

    # Filling ------------------------------------------------------------------------------------

    async def _fill_gap(self) -> None:
        """Deliver the missed messages; what cannot be read is tried again later."""
        if self._checkpoint is None:
            self._has_new_gap = False
            return
        gap = self._current_gap(self._checkpoint)
        if self._clock.monotonic() < gap.not_before:
            return
        try:
            report = await self._backfill(gap.start, gap.progress)
        except BotError as error:
            self._postpone(gap, str(error))
        except Exception:
            log.exception("gap not filled")
            self._postpone(gap, "internal error")
        else:
            if report.retryable_count:
                self._postpone(gap, f"{report.unread_count} channels and threads not read")
            else:
                _log_report(report)
                self._close_gap()

    def _current_gap(self, checkpoint: Checkpoint) -> _Gap:
        """The gap, extended by what was reported since the last try."""
        now = self._clock.now()
        start, gap = self._gap_start(checkpoint, now), self._gap
        if gap is not None and not self._has_new_gap and start >= gap.start:
            return gap
        self._gap = new_gap = _Gap(start)
        if gap is not None:
            # Otherwise its start would pass the limit of age while it is retried.
            new_gap.start = min(start, gap.start)
            if not self._retry_now:
                new_gap.retry_seconds, new_gap.not_before = gap.retry_seconds, gap.not_before
        self._has_new_gap, self._retry_now, self._unread_since = False, False, math.inf
        self._log_limits(checkpoint, now)
        log.info("backfill started: seconds=%.0f", now - new_gap.start)
        return new_gap

    def _gap_start(self, checkpoint: Checkpoint, now: float) -> float:
        earliest = now - self._max_seconds
        if _is_ahead(checkpoint, now):
            return max(checkpoint.since, earliest) if checkpoint.since <= now else earliest
        start = min(checkpoint.until - OVERLAP_SECONDS, self._unread_since)
        return max(checkpoint.since, start, earliest)

    def _log_limits(self, checkpoint: Checkpoint, now: float) -> None:
        """Log if only a part of the gap is read, or if its start is unknown."""
        if _is_ahead(checkpoint, now):
            log.warning(
                "checkpoint is %.0f s ahead, the clock is or was wrong: reading as far back "
                "as CATCH_UP_SECONDS allows",
                checkpoint.until - now,
            )
        elif checkpoint.until < now - self._max_seconds:
            log.warning(
                "gap of %.0f s is longer than CATCH_UP_SECONDS (%.0f): older messages not read",
                *(now - checkpoint.until, self._max_seconds),
            )

    def _postpone(self, gap: _Gap, reason: str) -> None:
        log.warning("gap not filled yet: retry_seconds=%.0f reason=%s", gap.retry_seconds, reason)
        gap.not_before = self._clock.monotonic() + gap.retry_seconds
        gap.retry_seconds = min(2 * gap.retry_seconds, MAX_RETRY_SECONDS)

    def _close_gap(self) -> None:
        """End the gap: all was read. What was reported during the reading is another gap; without a
        connection the next one has begun."""
        self._gap = None
        if self._checkpoint is not None and self._connected and not self._has_new_gap:
            now = self._clock.now()
            self._checkpoint = Checkpoint(since=min(self._checkpoint.since, now), until=now)
            self._saved_at = -math.inf  # so that no other start has to read it again

    # The checkpoint -----------------------------------------------------------------------------

    async def _update_checkpoint(self) -> None:
        """Move the checkpoint to the current time, unless there is a gap."""
        if not self._connected or self.has_gap:
            return
        now, checkpoint = self._clock.now(), self._checkpoint
        if checkpoint is not None and not _is_current(checkpoint, now):
            log.warning(
                "clock moved, events may have been missed: seconds=%.0f",
                now - checkpoint.until,
            )
            self._has_new_gap = True
            self._changed.set()
            return
        self._checkpoint = Checkpoint(
            since=now if checkpoint is None else checkpoint.since, until=now
        )
        if self._clock.monotonic() - self._saved_at >= SAVE_SECONDS:
            await self._save_checkpoint(now)

    async def _save_last_checkpoint(self) -> None:
        now = self._clock.now()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if (
                    self._connected
                    and self._checkpoint is not None
                    and _is_current(self._checkpoint, now)
                ):
                    await self._save_checkpoint(now)
        except TimeoutError:
            log.warning("checkpoint not saved in time")

    async def _save_checkpoint(self, at: float) -> None:
        try:
            await self._store.save_checkpoint(at)
        except StoreError as error:
            log.warning("checkpoint not saved: reason=%s", error)
        else:
            self._saved_at = self._clock.monotonic()


def _is_ahead(checkpoint: Checkpoint, now: float) -> bool:
    """True if the checkpoint lies in the future."""
    return checkpoint.until > now + MAX_CLOCK_DRIFT_SECONDS


def _is_current(checkpoint: Checkpoint, now: float) -> bool:
    """True if the checkpoint is as recent as it must be while the bot is connected."""
    return abs(checkpoint.until - now) <= MAX_CLOCK_DRIFT_SECONDS


def _log_report(report: BackfillReport) -> None:
    log.log(
        logging.WARNING if report.unread_count else logging.INFO,
        "backfill finished: messages=%d targets=%d accepted=%d unread=%d",
        report.message_count,
        report.read_count,
        report.accepted_count,
        report.unread_count,
    )


READ_SECONDS: Final = 55.0
"""Timeout in seconds of all tries together; less than that of `BackgroundTasks`."""


class OutOfOrderFilter:
    """Passes messages on, and re-reads a thread whose first message arrived after later ones."""

    def __init__(
        self,
        on_message: Callable[[Message], Awaitable[AcceptResult]],
        read_thread: Callable[[ThreadKey, str], Awaitable[BackfillReport]],
        background_tasks: BackgroundTasks,
        report_unread: Callable[[float], None],
    ) -> None:
        """`read_thread` delivers the messages of a thread after a `ts` and does not raise errors of
        Slack. `report_unread` is called with the time, in seconds since the epoch, from which a
        later try is needed."""
        self._on_message = on_message
        self._read_thread = read_thread
        self._background_tasks = background_tasks
        self._report_unread = report_unread

    async def on_message(self, message: Message) -> AcceptResult:
        """`bot.slack.receiver.Callbacks.on_message`."""
        accepted = await self._on_message(message)
        if accepted.out_of_order:
            work = self._reread_thread(message)
            if self._background_tasks.spawn("re-reading a thread", work) is None:
                self._report_unread(float(message.ts))
        return accepted

    async def _reread_thread(self, message: Message) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                report = await self._read_thread(message.thread, message.ts)
        except TimeoutError:
            log.warning("out-of-order thread not read in time: thread=%s", message.thread)
            self._report_unread(float(message.ts))
            return
        if report.retryable_count:
            self._report_unread(float(message.ts))
        log.info(
            "out-of-order thread read again: thread=%s messages=%d accepted=%d",
            *(message.thread, report.message_count, report.accepted_count),
        )
