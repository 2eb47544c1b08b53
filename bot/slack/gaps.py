"""Knows until when everything was heard, also over a restart, and has the gaps filled.

While the bot hears Slack it notes so every minute. When it hears Slack again, after a start or
after a time in which no line was up, what was said since is looked for; until that is done the
note stays where it is, so that a bot that dies meanwhile looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from bot.errors import BotError, StoreError
from bot.ports import Clock, Heard, HearingStore
from bot.slack.catching_up import CaughtUp
from bot.slack.waits import set_or_past

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
NOTE_SECONDS: Final = 60.0

OVERLAP_SECONDS: Final = 420.0
"""How long before the note is looked, too: so long Slack may still bring what it told in vain
(after at once, a minute and five minutes: docs.slack.dev/apis/events-api), and so long a dead line
may have passed for one that is up; with a minute to spare."""

TRIES: Final = 5
TRY_AGAIN_SECONDS: Final = 5.0
"""Doubled with each try."""

_CLOSE_SECONDS: Final = 5.0


class Gaps:
    """One for the bot."""

    def __init__(
        self,
        store: HearingStore,
        clock: Clock,
        catch_up: Callable[[float], Awaitable[CaughtUp]],
        *,
        most_seconds: float,
    ) -> None:
        """`catch_up` takes in what was said since a time; never further back than
        `most_seconds`."""
        self._store = store
        self._clock = clock
        self._catch_up = catch_up
        self._most_seconds = most_seconds
        self._hearing = False
        self._gap = False
        self._changed = asyncio.Event()
        self._known: Heard | None = None
        self._noted = 0.0

    def heard(self, hearing: bool) -> None:
        """Slack is heard again, and was not until now; or nothing is heard any more."""
        self._hearing = hearing
        self._gap = self._gap or hearing
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
            if watching.done() and not self._gap:
                await self._last_note()

    async def _watch(self) -> None:
        self._known = await self._remembered()
        while True:
            try:
                if self._hearing and self._gap:
                    await self._fill()
                await self._note()
            except Exception:
                log.exception("looking for what was missed failed; going on")
            await set_or_past(self._changed, self._clock, LOOK_SECONDS)
            self._changed.clear()

    async def _remembered(self) -> Heard | None:
        """What was heard before this start; None where nothing ever was, and then there is nothing
        to catch up with."""
        pause = TRY_AGAIN_SECONDS
        for _ in range(TRIES):
            try:
                return await self._store.heard()
            except StoreError as error:
                log.warning("until when everything was heard is not known yet: %s", error)
            await self._clock.sleep(pause)
            pause *= 2
        log.error("until when everything was heard is not known: looking as far back as allowed")
        return Heard(since=0.0, until=0.0)

    async def _fill(self) -> None:
        """Have what was missed taken in. What cannot be, after some tries, is given up."""
        if self._known is None:
            self._gap = False
            return
        now, known = self._clock.now(), self._known
        began = max(known.since, known.until - OVERLAP_SECONDS, now - self._most_seconds)
        log.info("looking for what was said in the last %.0f s", now - began)
        pause = TRY_AGAIN_SECONDS
        for _ in range(TRIES):
            # Before it is looked: a gap that begins meanwhile is another one.
            self._gap = False
            try:
                caught = await self._catch_up(began)
            except BotError as error:
                self._gap = True
                log.warning("what was missed cannot be read yet: %s", error)
            except BaseException:
                self._gap = True
                raise
            else:
                _tell(caught)
                if not caught.for_later:
                    return
                self._gap = True
                log.warning("what could not be read is looked for again")
            await self._clock.sleep(pause)
            pause *= 2
        self._gap = False
        log.error("what was said in the last %.0f s may have been missed", now - began)

    async def _note(self) -> None:
        """Take down that up to now everything was heard, unless there is a gap."""
        now = self._clock.now()
        if not self._hearing or self._gap:
            return
        first = self._known is None
        self._known = Heard(since=now if self._known is None else self._known.since, until=now)
        if first or self._clock.monotonic() - self._noted >= NOTE_SECONDS:
            await self._write(now)

    async def _last_note(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._hearing and self._known is not None:
                    await self._write(self._clock.now())
        except TimeoutError:
            log.warning("until when everything was heard could not be noted in time")

    async def _write(self, at: float) -> None:
        try:
            await self._store.note_heard(at)
        except StoreError as error:
            log.warning("until when everything was heard could not be noted: %s", error)
        else:
            self._noted = self._clock.monotonic()


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
