"""A turn's answer as the thread sees it: `bot.ports.Reply` in Slack.

The turn says what the answer is; one writer task per reply brings the thread up to it, at Slack's
pace. Nothing writes after the end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bot.domain.cards import Foot
from bot.domain.messages import ThreadKey
from bot.errors import SlackError
from bot.ports import Clock
from bot.slack.api.calls import CallError, next_try
from bot.slack.cards.render import draw_foot
from bot.slack.replies.delivery import Delivering
from bot.slack.replies.pacer import Pace
from bot.slack.replies.text import ReplyText
from bot.tasks import set_or_past

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 120.0
"""So long the end of an answer is tried while trouble may pass; then it is for a later reply."""

_LONGEST_PAUSE: Final = 30.0
_CLOSE_SECONDS: Final = 11.0
_CANCEL_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 6.0


class SlackReply:
    """One reply. Begins to write when it is made; `close` ends it in every case."""

    def __init__(
        self,
        thread: ThreadKey,
        text: ReplyText,
        delivering: Delivering,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._thread = thread
        self._text = text
        self._delivering = delivering
        self._pace = pace
        self._clock = clock
        self._trouble = 0
        self._finishing = False
        self._leaving = False
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._over = asyncio.Event()
        self._at_the_end: CallError | None = None
        self.whole = False
        """Whether `finish` has shown the answer: what else stands in the thread nobody knows."""
        self.status_left = True
        """`Reply.status_left`, set by whoever takes the status back."""
        self._writer = asyncio.create_task(self._write(), name="reply")
        self._writer.add_done_callback(lambda _: self._over.set())

    def append(self, text: str) -> None:
        """`Reply.append`."""
        if self._sealed():
            return
        self._text.append(text)
        self._news.set()

    def replace(self, text: str) -> None:
        """`Reply.replace`."""
        if self._sealed():
            return
        self._text.replace(text)
        self._news.set()

    async def finish(self, text: str, note: str = "", foot: Foot | None = None) -> None:
        """`Reply.finish`."""
        if not self._sealed():
            under = draw_foot(foot, self._thread) if foot is not None else ()
            self._text.finish(text, note, under)
            self._finishing = True
            self._news.set()
            self._urgent.set()
        await set_or_past(self._over, self._clock, FINISH_SECONDS)
        if not self._writer.done():
            self._writer.cancel()
            await asyncio.wait({self._writer}, timeout=_CANCEL_SECONDS)
        if not self._writer.done() or self._writer.cancelled():
            raise self._at_the_end or CallError("timeout", "the end", maybe_done=True)
        self._writer.result()
        self.whole = True

    async def close(self) -> None:
        """End the writing and whatever is open. Bounded to 20 s; never raises for Slack's sake."""
        self._leaving = True
        self._news.set()
        self._urgent.set()
        try:
            await asyncio.wait({self._writer}, timeout=_CLOSE_SECONDS)
        finally:
            self._writer.cancel()
            await asyncio.wait({self._writer}, timeout=_CANCEL_SECONDS)
            self._pace.leave(self._delivering)
        ended = self._writer.done() and not self._writer.cancelled()
        if ended and (error := self._writer.exception()):
            log.warning("the reply could not be shown whole: %s", error)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._delivering.end_streams()
        except TimeoutError:
            log.warning("a stream was left to end by itself")

    def _sealed(self) -> bool:
        if self._finishing or self._leaving:
            log.warning("the reply has ended; nothing is added to it")
        return self._finishing or self._leaving

    # The writer -----------------------------------------------------------------------------

    async def _write(self) -> None:
        """Keep the thread up with the answer until the answer ends or the turn leaves."""
        while True:
            await set_or_past(self._news, self._clock, self._delivering.until_too_old())
            self._news.clear()
            if self._finishing:
                await self._show_the_end()
                return
            if self._leaving:
                return
            self._urgent.clear()
            pause = await self._show_up_to_here()
            await set_or_past(self._urgent, self._clock, pause)

    async def _show_up_to_here(self) -> float:
        """Show what there is, as far as the pace allows; how many seconds until the next look."""
        if wait := self._delivering.halted_for():
            self._news.set()
            return wait
        if wait := self._pace.wait(self._delivering):
            self._news.set()
            return wait
        try:
            all_shown = await self._delivering.bring_up(last=False)
        except SlackError as error:
            log.warning("the answer could not be shown up to here: %s", error)
            all_shown, self._trouble = False, self._trouble + 1
        else:
            self._trouble = 0
        if not all_shown:
            self._news.set()
        pause = self._pace.pause(self._delivering.delivery)
        return min(_LONGEST_PAUSE, pause * float(2 ** min(self._trouble, 8)))

    async def _show_the_end(self) -> None:
        """Show the whole answer, trying again for as long as `finish` waits while trouble may
        pass. Raises `CallError` when Slack would not have it."""
        tries = 0
        while True:
            try:
                await self._delivering.bring_up(last=True)
            except CallError as error:
                if not error.passing:
                    raise
                log.warning("the end of the answer could not be shown yet: %s", error)
                self._at_the_end = error
            else:
                return
            await self._clock.sleep(next_try(self._at_the_end, tries))
            tries += 1
