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
from bot.domain.turns import Accepted
from bot.errors import BotError, StoreError
from bot.ports import Clock, Heard, HearingStore
from bot.slack.events.backfill import CaughtUp, Progress
from bot.tasks import Background, set_or_past

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
NOTE_SECONDS: Final = 60.0

OVERLAP_SECONDS: Final = 420.0
"""How long before the note is looked, too: so long Slack may still bring what it told in vain
(after at once, a minute and five minutes: docs.slack.dev/apis/events-api), and so long a dead line
may have passed for one that is up; with a minute to spare."""

OUT_OF_STEP_SECONDS: Final = 60.0
"""What is known is brought up to date every ten seconds. Where it lies further ahead than this, the
clock was put back; where it lies further behind, the clock was put forward or nothing ran at all (a
machine that slept), and then nothing was heard, either."""

TRY_AGAIN_SECONDS: Final = 10.0
"""Doubled with each try."""
MOST_PAUSE_SECONDS: Final = 300.0

_CLOSE_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Gap:
    """A time of which not everything that was said is known to have been heard."""

    began: float
    progress: Progress = field(default_factory=Progress)
    pause: float = TRY_AGAIN_SECONDS
    not_before: float = -math.inf
    """When it may be looked again, on the clock's `monotonic`."""


class Gaps:
    """One for the bot."""

    def __init__(
        self,
        store: HearingStore,
        clock: Clock,
        catch_up: Callable[[float, Progress], Awaitable[CaughtUp]],
        *,
        most_seconds: float,
    ) -> None:
        """`catch_up` takes in what was said since a time, as far as it has not done so; never
        further back than `most_seconds`."""
        self._store = store
        self._clock = clock
        self._catch_up = catch_up
        self._most_seconds = most_seconds
        self._hearing = False
        self._reported = False
        """Whether there is a gap that has not been looked into at all."""
        self._at_once = False
        """Whether Slack is heard again, so that it may have got over its trouble."""
        self._unread_since = math.inf
        self._gap: _Gap | None = None
        self._changed = asyncio.Event()
        self._known: Heard | None = None
        self._noted = -math.inf

    @property
    def open(self) -> bool:
        """Whether there is a gap that has not been filled yet."""
        return self._reported or self._gap is not None

    def heard(self, hearing: bool) -> None:
        """Slack is heard again, and was not until now; or nothing is heard any more."""
        self._hearing = hearing
        self._reported = self._reported or hearing
        self._at_once = self._at_once or hearing
        self._changed.set()

    def unread(self, since: float) -> None:
        """Something that was said since then was not heard, and could not be read either: a gap,
        though everything else was heard."""
        self._unread_since = min(self._unread_since, since)
        self._reported = True
        self._changed.set()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Fill gaps while inside; never in the way of what is heard meanwhile."""
        watching = asyncio.create_task(self._watch(), name="looking for what was missed")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching}, timeout=_CLOSE_SECONDS)
            if watching.done() and not self.open:
                await self._last_note()

    async def _watch(self) -> None:
        self._known = await self._remembered()
        while True:
            try:
                if self._hearing and self.open:
                    await self._fill()
                await self._note()
            except Exception:
                log.exception("looking for what was missed failed; going on")
            await set_or_past(self._changed, self._clock, LOOK_SECONDS)
            self._changed.clear()

    async def _remembered(self) -> Heard | None:
        """What was heard before this start; None where nothing ever was, and then there is nothing
        to catch up with. Asked until the database tells: as long as it does not, it takes no
        messages, either."""
        pause = TRY_AGAIN_SECONDS
        while True:
            try:
                return await self._store.heard()
            except StoreError as error:
                log.warning("until when everything was heard is not known yet: %s", error)
            await self._clock.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE_SECONDS)

    # Filling ------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Have what was missed taken in; what could not be read is left for the next time."""
        if self._known is None:
            self._reported = False
            return
        gap = self._to_fill(self._known)
        if self._clock.monotonic() < gap.not_before:
            return
        try:
            caught = await self._catch_up(gap.began, gap.progress)
        except BotError as error:
            self._put_off(gap, str(error))
        except Exception:
            log.exception("what was missed cannot be read")
            self._put_off(gap, "an error of the bot's own")
        else:
            if caught.for_later:
                self._put_off(gap, f"{caught.unread} places could not be read")
            else:
                _tell(caught)
                self._close()

    def _to_fill(self, known: Heard) -> _Gap:
        """The gap, with what has been reported of it since it was looked into."""
        now = self._clock.now()
        began, gap = self._beginning(known, now), self._gap
        if gap is not None and not self._reported and began >= gap.began:
            return gap
        self._gap = anew = _Gap(began)
        if gap is not None:
            # Else what it began with would grow too old while it is tried to be read.
            anew.began = min(began, gap.began)
            if not self._at_once:
                anew.pause, anew.not_before = gap.pause, gap.not_before
        self._reported, self._at_once, self._unread_since = False, False, math.inf
        self._tell_of_limits(known, now)
        log.info("looking for what was said in the last %.0f s", now - anew.began)
        return anew

    def _beginning(self, known: Heard, now: float) -> float:
        earliest = now - self._most_seconds
        if _is_ahead(known, now):
            return max(known.since, earliest) if known.since <= now else earliest
        wanted = min(known.until - OVERLAP_SECONDS, self._unread_since)
        return max(known.since, wanted, earliest)

    def _tell_of_limits(self, known: Heard, now: float) -> None:
        """Say so where it is not looked for everything, or where it is not known since when."""
        if _is_ahead(known, now):
            log.warning(
                "it is noted that everything was heard until %.0f s from now: the clock is or was "
                "wrong, so it is looked as far back as CATCH_UP_SECONDS allows",
                known.until - now,
            )
        elif known.until < now - self._most_seconds:
            log.warning(
                "nothing was heard for %.0f s, and CATCH_UP_SECONDS is %.0f: what was said before "
                "that is not looked for",
                *(now - known.until, self._most_seconds),
            )

    def _put_off(self, gap: _Gap, why: str) -> None:
        log.warning("what was missed is not read yet, again in %.0f s: %s", gap.pause, why)
        gap.not_before = self._clock.monotonic() + gap.pause
        gap.pause = min(2 * gap.pause, MOST_PAUSE_SECONDS)

    def _close(self) -> None:
        """All was read. What was reported meanwhile is another gap, and what is said while nothing
        is heard any more belongs to one that will be."""
        self._gap = None
        if self._known is not None and self._hearing and not self._reported:
            now = self._clock.now()
            self._known = Heard(since=min(self._known.since, now), until=now)
            self._noted = -math.inf  # so that no other start has to read it again

    # Noting -------------------------------------------------------------------------------------

    async def _note(self) -> None:
        """Take down that up to now everything was heard, unless there is a gap."""
        if not self._hearing or self.open:
            return
        now, known = self._clock.now(), self._known
        if known is not None and not _in_step(known, now):
            log.warning(
                "by the clock, everything was heard until %.0f s ago: looking for the rest",
                now - known.until,
            )
            self._reported = True
            self._changed.set()
            return
        self._known = Heard(since=now if known is None else known.since, until=now)
        if self._clock.monotonic() - self._noted >= NOTE_SECONDS:
            await self._write(now)

    async def _last_note(self) -> None:
        now = self._clock.now()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._hearing and self._known is not None and _in_step(self._known, now):
                    await self._write(now)
        except TimeoutError:
            log.warning("until when everything was heard could not be noted in time")

    async def _write(self, at: float) -> None:
        try:
            await self._store.note_heard(at)
        except StoreError as error:
            log.warning("until when everything was heard could not be noted: %s", error)
        else:
            self._noted = self._clock.monotonic()


def _is_ahead(known: Heard, now: float) -> bool:
    """Whether something is noted of a time that has not come yet."""
    return known.until > now + OUT_OF_STEP_SECONDS


def _in_step(known: Heard, now: float) -> bool:
    """Whether what is known is as fresh as it has to be while everything is heard."""
    return abs(known.until - now) <= OUT_OF_STEP_SECONDS


def _tell(caught: CaughtUp) -> None:
    log.log(
        logging.WARNING if caught.unread else logging.INFO,
        "caught up: %d messages in %d channels and threads, %d of them new and for the bot; "
        "%d places could not be read",
        caught.messages,
        caught.places,
        caught.taken,
        caught.unread,
    )


READ_SECONDS: Final = 55.0
"""For all tries together; less than `Background` lets a piece of work take."""


class Overtaken:
    """Hands messages on, and looks after those that a first one was overtaken by."""

    def __init__(
        self,
        on_message: Callable[[Message], Awaitable[Accepted]],
        read: Callable[[ThreadKey, str], Awaitable[CaughtUp]],
        background: Background,
        unread: Callable[[float], None],
    ) -> None:
        """`read` takes in what was said in a thread after a `ts`, and never fails for Slack's
        sake. `unread` is told since when something could not be read that may be later, in seconds
        since the epoch."""
        self._on_message = on_message
        self._read = read
        self._background = background
        self._unread = unread

    async def on_message(self, message: Message) -> Accepted:
        """`bot.slack.receiver.Callbacks.on_message`."""
        accepted = await self._on_message(message)
        if accepted.overtaken:
            work = self._again(message)
            if self._background.start("what was heard too early", work) is None:
                self._unread(float(message.ts))
        return accepted

    async def _again(self, message: Message) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                caught = await self._read(message.thread, message.ts)
        except TimeoutError:
            log.warning("what thread %s was told too early was not read in time", message.thread)
            self._unread(float(message.ts))
            return
        if caught.for_later:
            self._unread(float(message.ts))
        log.info(
            "what was heard of thread %s before it was known is taken in again: %d messages, %d of "
            "them for the bot",
            *(message.thread, caught.messages, caught.taken),
        )
