"""Knows until when everything was heard, also over a restart, and has the gaps filled.

While the bot hears Slack it notes so every minute. When it hears Slack again, after a start or
after a time in which no line was up, what was said since is looked for; until that is done the
note stays where it is, so that a bot that dies meanwhile looks again. A gap is filled when every
place that belongs to it was read, but for those that can never be.
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
"""How long before the note is looked, too: so long Slack may still bring what it told in vain
(after at once, a minute and five minutes: docs.slack.dev/apis/events-api), and so long a dead line
may have passed for one that is up; with a minute to spare."""

MAX_CLOCK_DRIFT_SECONDS: Final = 60.0
"""What is known is brought up to date every ten seconds. Where it lies further ahead than this, the
clock was put back; where it lies further behind, the clock was put forward or nothing ran at all (a
machine that slept), and then nothing was heard, either."""

RETRY_SECONDS: Final = 10.0
"""Doubled with each try."""
MAX_RETRY_SECONDS: Final = 300.0

_CLOSE_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Gap:
    """A time of which not everything that was said is known to have been heard."""

    start: float
    progress: BackfillProgress = field(default_factory=BackfillProgress)
    retry_seconds: float = RETRY_SECONDS
    not_before: float = -math.inf
    """When it may be looked again, on the clock's `monotonic`."""


class GapMonitor:
    """One for the bot."""

    def __init__(
        self,
        store: CheckpointStore,
        clock: Clock,
        backfill: Callable[[float, BackfillProgress], Awaitable[BackfillReport]],
        *,
        max_seconds: float,
    ) -> None:
        """`catch_up` takes in what was said since a time, as far as it has not done so; never
        further back than `most_seconds`."""
        self._store = store
        self._clock = clock
        self._backfill = backfill
        self._max_seconds = max_seconds
        self._connected = False
        self._has_new_gap = False
        """Whether there is a gap that has not been looked into at all."""
        self._retry_now = False
        """Whether Slack is heard again, so that it may have got over its trouble."""
        self._unread_since = math.inf
        self._gap: _Gap | None = None
        self._changed = asyncio.Event()
        self._checkpoint: Checkpoint | None = None
        self._saved_at = -math.inf

    @property
    def has_gap(self) -> bool:
        """Whether there is a gap that has not been filled yet."""
        return self._has_new_gap or self._gap is not None

    def set_connected(self, connected: bool) -> None:
        """Slack is heard again, and was not until now; or nothing is heard any more."""
        self._connected = connected
        self._has_new_gap = self._has_new_gap or connected
        self._retry_now = self._retry_now or connected
        self._changed.set()

    def report_unread(self, since: float) -> None:
        """Something that was said since then was not heard, and could not be read either: a gap,
        though everything else was heard."""
        self._unread_since = min(self._unread_since, since)
        self._has_new_gap = True
        self._changed.set()

    @asynccontextmanager
    async def monitoring(self) -> AsyncIterator[None]:
        """Fill gaps while inside; never in the way of what is heard meanwhile."""
        watching = asyncio.create_task(self._run(), name="looking for what was missed")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching}, timeout=_CLOSE_SECONDS)
            if watching.done() and not self.has_gap:
                await self._save_last_checkpoint()

    async def _run(self) -> None:
        self._checkpoint = await self._load_checkpoint()
        while True:
            try:
                if self._connected and self.has_gap:
                    await self._fill_gap()
                await self._update_checkpoint()
            except Exception:
                log.exception("looking for what was missed failed; going on")
            await wait_for_event(self._changed, self._clock, CHECK_SECONDS)
            self._changed.clear()

    async def _load_checkpoint(self) -> Checkpoint | None:
        """What was heard before this start; None where nothing ever was, and then there is nothing
        to catch up with. Asked until the database tells: as long as it does not, it takes no
        messages, either."""
        pause = RETRY_SECONDS
        while True:
            try:
                return await self._store.load_checkpoint()
            except StoreError as error:
                log.warning("until when everything was heard is not known yet: %s", error)
            await self._clock.sleep(pause)
            pause = min(2 * pause, MAX_RETRY_SECONDS)

    # Filling ------------------------------------------------------------------------------------

    async def _fill_gap(self) -> None:
        """Have what was missed taken in; what could not be read is left for the next time."""
        if self._checkpoint is None:
            self._has_new_gap = False
            return
        gap = self._current_gap(self._checkpoint)
        if self._clock.monotonic() < gap.not_before:
            return
        try:
            caught = await self._backfill(gap.start, gap.progress)
        except BotError as error:
            self._postpone(gap, str(error))
        except Exception:
            log.exception("what was missed cannot be read")
            self._postpone(gap, "an error of the bot's own")
        else:
            if caught.retryable_count:
                self._postpone(gap, f"{caught.unread_count} places could not be read")
            else:
                _log_report(caught)
                self._close_gap()

    def _current_gap(self, checkpoint: Checkpoint) -> _Gap:
        """The gap, with what has been reported of it since it was looked into."""
        now = self._clock.now()
        began, gap = self._gap_start(checkpoint, now), self._gap
        if gap is not None and not self._has_new_gap and began >= gap.start:
            return gap
        self._gap = anew = _Gap(began)
        if gap is not None:
            # Else what it began with would grow too old while it is tried to be read.
            anew.start = min(began, gap.start)
            if not self._retry_now:
                anew.retry_seconds, anew.not_before = gap.retry_seconds, gap.not_before
        self._has_new_gap, self._retry_now, self._unread_since = False, False, math.inf
        self._log_limits(checkpoint, now)
        log.info("looking for what was said in the last %.0f s", now - anew.start)
        return anew

    def _gap_start(self, checkpoint: Checkpoint, now: float) -> float:
        earliest = now - self._max_seconds
        if _is_ahead(checkpoint, now):
            return max(checkpoint.since, earliest) if checkpoint.since <= now else earliest
        wanted = min(checkpoint.until - OVERLAP_SECONDS, self._unread_since)
        return max(checkpoint.since, wanted, earliest)

    def _log_limits(self, checkpoint: Checkpoint, now: float) -> None:
        """Say so where it is not looked for everything, or where it is not known since when."""
        if _is_ahead(checkpoint, now):
            log.warning(
                "it is noted that everything was heard until %.0f s from now: the clock is or was "
                "wrong, so it is looked as far back as CATCH_UP_SECONDS allows",
                checkpoint.until - now,
            )
        elif checkpoint.until < now - self._max_seconds:
            log.warning(
                "nothing was heard for %.0f s, and CATCH_UP_SECONDS is %.0f: what was said before "
                "that is not looked for",
                *(now - checkpoint.until, self._max_seconds),
            )

    def _postpone(self, gap: _Gap, reason: str) -> None:
        log.warning(
            "what was missed is not read yet, again in %.0f s: %s", gap.retry_seconds, reason
        )
        gap.not_before = self._clock.monotonic() + gap.retry_seconds
        gap.retry_seconds = min(2 * gap.retry_seconds, MAX_RETRY_SECONDS)

    def _close_gap(self) -> None:
        """All was read. What was reported meanwhile is another gap, and what is said while nothing
        is heard any more belongs to one that will be."""
        self._gap = None
        if self._checkpoint is not None and self._connected and not self._has_new_gap:
            now = self._clock.now()
            self._checkpoint = Checkpoint(since=min(self._checkpoint.since, now), until=now)
            self._saved_at = -math.inf  # so that no other start has to read it again

    # Noting -------------------------------------------------------------------------------------

    async def _update_checkpoint(self) -> None:
        """Take down that up to now everything was heard, unless there is a gap."""
        if not self._connected or self.has_gap:
            return
        now, known = self._clock.now(), self._checkpoint
        if known is not None and not _is_current(known, now):
            log.warning(
                "by the clock, everything was heard until %.0f s ago: looking for the rest",
                now - known.until,
            )
            self._has_new_gap = True
            self._changed.set()
            return
        self._checkpoint = Checkpoint(since=now if known is None else known.since, until=now)
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
            log.warning("until when everything was heard could not be noted in time")

    async def _save_checkpoint(self, at: float) -> None:
        try:
            await self._store.save_checkpoint(at)
        except StoreError as error:
            log.warning("until when everything was heard could not be noted: %s", error)
        else:
            self._saved_at = self._clock.monotonic()


def _is_ahead(checkpoint: Checkpoint, now: float) -> bool:
    """Whether something is noted of a time that has not come yet."""
    return checkpoint.until > now + MAX_CLOCK_DRIFT_SECONDS


def _is_current(checkpoint: Checkpoint, now: float) -> bool:
    """Whether what is known is as fresh as it has to be while everything is heard."""
    return abs(checkpoint.until - now) <= MAX_CLOCK_DRIFT_SECONDS


def _log_report(report: BackfillReport) -> None:
    log.log(
        logging.WARNING if report.unread_count else logging.INFO,
        "caught up: %d messages in %d channels and threads, %d of them new and for the bot; "
        "%d places could not be read",
        report.message_count,
        report.read_count,
        report.accepted_count,
        report.unread_count,
    )


READ_SECONDS: Final = 55.0
"""For all tries together; less than `BackgroundTasks` lets a piece of work take."""


class OutOfOrderFilter:
    """Hands messages on, and looks after those that a first one was overtaken by."""

    def __init__(
        self,
        on_message: Callable[[Message], Awaitable[AcceptResult]],
        read_thread: Callable[[ThreadKey, str], Awaitable[BackfillReport]],
        background_tasks: BackgroundTasks,
        report_unread: Callable[[float], None],
    ) -> None:
        """`read` takes in what was said in a thread after a `ts`, and never fails for Slack's
        sake. `unread` is told since when something could not be read that may be later, in seconds
        since the epoch."""
        self._on_message = on_message
        self._read_thread = read_thread
        self._background_tasks = background_tasks
        self._report_unread = report_unread

    async def on_message(self, message: Message) -> AcceptResult:
        """`bot.slack.receiver.Callbacks.on_message`."""
        accepted = await self._on_message(message)
        if accepted.out_of_order:
            work = self._reread_thread(message)
            if self._background_tasks.spawn("what was heard too early", work) is None:
                self._report_unread(float(message.ts))
        return accepted

    async def _reread_thread(self, message: Message) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                caught = await self._read_thread(message.thread, message.ts)
        except TimeoutError:
            log.warning("what thread %s was told too early was not read in time", message.thread)
            self._report_unread(float(message.ts))
            return
        if caught.retryable_count:
            self._report_unread(float(message.ts))
        log.info(
            "what was heard of thread %s before it was known is taken in again: %d messages, %d of "
            "them for the bot",
            *(message.thread, caught.message_count, caught.accepted_count),
        )
