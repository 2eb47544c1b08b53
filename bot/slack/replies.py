"""A turn's answer as the thread sees it: `bot.ports.Reply` in Slack.

One writer task per reply holds what the thread shows against what the answer says, and brings the
first up to the second: by a native stream while that works, by edits from the moment that it does
not. So trouble changes how the text comes, never the text, and nothing writes after the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from bot.errors import SlackError
from bot.model import Delivery, Message, Part
from bot.ports import Clock
from bot.slack.calls import CallError
from bot.slack.messages import Messages, Shown, order
from bot.slack.pace import Pace, set_or_past
from bot.slack.parts import PartText
from bot.slack.reply_text import ReplyText
from bot.slack.status import Showing

log = logging.getLogger(__name__)

STREAM_AGE: Final = 240.0
"""Seconds after which a stream is ended and another one begun: Slack ends it after about 300,
whatever is written to it (slackapi/python-slack-sdk issue 1859)."""

FLUSH_CHARS: Final = 1_000
"""So much unsent text does not wait for its time."""

LAST_WAITS: Final = (1.0, 3.0, 9.0)
"""Seconds between the attempts to show the end, while trouble may pass."""

_LONGEST_PAUSE: Final = 30.0
_DOES_NOT_FIT: Final = frozenset(
    {"msg_too_long", "msg_blocks_too_many", "invalid_blocks", "invalid_blocks_format", "no_text"}
)
_CLOSE_SECONDS: Final = 11.0
_CANCEL_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 6.0


def delivery_for(message: Message, people: frozenset[str]) -> tuple[Delivery, str]:
    """How an answer reaches its audience, and why so: Slack shows a stream live to one person."""
    if message.direct:
        return Delivery.STREAM, "a direct message"
    if len(people | {message.user}) <= 1:
        return Delivery.STREAM, "one person in the thread"
    return Delivery.EDITS, f"{len(people)} people in the thread"


class SlackReply:
    """One reply. Begins to write when it is made; `close` ends it in every case."""

    def __init__(
        self,
        messages: Messages,
        delivery: Delivery,
        pace: Pace,
        clock: Clock,
        showing: Showing,
        *,
        text: ReplyText | None = None,
        earlier: Sequence[Part] = (),
        resumed: bool = False,
    ) -> None:
        """`resumed`: an earlier run of the turn may have put out `earlier`, and more unnoted."""
        self._messages = messages
        self._delivery = delivery
        self._pace = pace
        self._clock = clock
        self._showing = showing
        self._text = text or ReplyText()
        self._earlier = earlier
        self._to_take_over = resumed or bool(earlier)

        self._shown: dict[int, Shown] = {}
        self._settled: dict[int, PartText] = {}
        self._unsent = 0
        self._trouble = 0
        self._halted = False
        """A person pressed Stop: what is shown stays until the end is known."""
        self._finishing = False
        self._leaving = False
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        pace.join()
        self._writer = asyncio.create_task(self._write(), name="reply")

    def append(self, text: str) -> None:
        """`Reply.append`."""
        if self._sealed():
            return
        self._text.append(text)
        self._unsent += len(text)
        self._news.set()
        if self._unsent >= FLUSH_CHARS and self._delivery is Delivery.STREAM:
            self._urgent.set()

    def replace(self, text: str) -> None:
        """`Reply.replace`."""
        if self._sealed():
            return
        self._text.replace(text)
        self._news.set()

    async def finish(self, text: str, note: str = "") -> None:
        """`Reply.finish`."""
        if not self._sealed():
            self._text.finish(text, note)
            self._finishing = True
            self._news.set()
            self._urgent.set()
        await asyncio.shield(self._writer)

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
            self._pace.leave()
        ended = self._writer.done() and not self._writer.cancelled()
        if ended and (error := self._writer.exception()):
            log.warning("the reply could not be shown whole: %s", error)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                for shown in self._shown.values():
                    if shown.live:
                        await self._messages.end(shown)
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
            await set_or_past(self._news, self._clock, self._until_too_old())
            self._news.clear()
            self._unsent = 0
            if self._finishing:
                await self._show_the_end()
                return
            if self._leaving:
                return
            self._urgent.clear()
            pause = await self._show_up_to_here()
            await set_or_past(self._urgent, self._clock, pause)

    async def _show_up_to_here(self) -> float:
        """Show what there is, as far as the pace allows; how many seconds to pause after it."""
        if self._halted:
            return 0.0
        try:
            all_shown = await self._show()
        except SlackError as error:
            log.warning("the answer could not be shown up to here: %s", error)
            all_shown, self._trouble = False, self._trouble + 1
        else:
            self._trouble = 0
        if not all_shown:
            self._news.set()
        interval = self._pace.interval(self._delivery)
        return min(_LONGEST_PAUSE, interval * float(2 ** min(self._trouble, 8)))

    async def _show_the_end(self) -> None:
        """Show the whole answer. Raises `SlackError` when Slack would not have it."""
        for wait in LAST_WAITS:
            try:
                await self._show()
            except CallError as error:
                if not error.passing:
                    raise
                log.warning("the end of the answer could not be shown yet: %s", error)
            else:
                return
            await self._clock.sleep(wait)
        await self._show()

    def _until_too_old(self) -> float | None:
        live = self._live()
        if live is None:
            return None
        return max(0.0, live.started + STREAM_AGE - self._clock.monotonic())

    def _live(self) -> Shown | None:
        return next((shown for shown in self._shown.values() if shown.live), None)

    # What the thread shows, against what the answer says -------------------------------------

    async def _show(self) -> bool:
        """Bring the thread up to the answer, part by part; False where the pace said: not yet."""
        while True:
            try:
                return await self._show_parts()
            except CallError as error:
                if error.code not in _DOES_NOT_FIT or not self._try_otherwise():
                    raise
                log.warning("Slack would not have the text like this: %s", error)

    def _try_otherwise(self) -> bool:
        """Choose another form for a text that Slack refuses: smaller parts, at last no Markdown.

        What counts as too long or as too much in one message is Slack's to know.
        """
        self._settled.clear()
        if self._text.narrow():
            return True
        if self._messages.plain:
            return False
        self._messages.plain = True
        return True

    async def _show_parts(self) -> bool:
        if self._to_take_over:
            await self._take_over()
        await self._end_what_is_too_old()
        parts = self._text.parts
        all_shown = True
        for number, part in enumerate(parts):
            if self._settled.get(number) is part and not part.note:
                continue
            if not await self._show_part(number, part):
                all_shown = False
            elif part.final:
                self._settled[number] = part
        if parts or self._finishing:
            await self._take_away(len(parts))
        return all_shown

    async def _show_part(self, number: int, part: PartText) -> bool:
        shown = self._shown.get(number)
        if part.blank:
            if shown is not None and part.final:
                await self._remove(shown)
            return True
        if shown is None:
            shown = await self._begin(number, part)
        if shown.live and not await self._grow(shown, part):
            return False
        if shown.live:
            return True
        if self._halted and not self._finishing:
            return False
        return await self._edit(shown, part)

    async def _begin(self, number: int, part: PartText) -> Shown:
        """The part's message: a stream where that is wanted and to be had, else a post.

        A part that is complete before it was begun needs no stream.
        """
        if self._delivery is Delivery.STREAM and not part.final:
            if not self._pace.may_start():
                self._go_on_by_edits("too many streams are being started")
            else:
                try:
                    return self._keep(await self._messages.start(number, part.text))
                except CallError as error:
                    self._go_on_by_edits(f"Slack refused the stream: {error}")
        return self._keep(await self._messages.post(number, part.closed))

    async def _grow(self, shown: Shown, part: PartText) -> bool:
        """Let a live stream say what the part says; False where the pace said: not yet."""
        wanted = part.closed if part.final else part.text
        if shown.sent is None or not wanted.startswith(shown.sent):
            self._go_on_by_edits("what the stream has shown does not count")
            await self._end(shown)
            return True
        more = wanted[len(shown.sent) :]
        try:
            if part.final:
                await self._messages.stop(shown, more)
                if not self._finishing:
                    self._showing.renew()
            elif more:
                if not self._pace.may_append():
                    return False
                await self._messages.append(shown, more)
        except CallError as error:
            self._halted = error.code == "stopped_by_user"
            self._go_on_by_edits(f"the stream broke: {error}")
            await self._end(shown)
        return True

    async def _end(self, live: Shown) -> None:
        """End a stream before its answer has ended."""
        await self._messages.end(live)
        if not self._halted and not self._finishing:
            self._showing.renew()

    async def _edit(self, shown: Shown, part: PartText) -> bool:
        """Make a message say what the part says; False where the pace said: not yet."""
        if shown.sent == part.closed:
            return True
        may_edit = self._pace.may_edit()
        if not may_edit and not self._finishing:
            return False
        try:
            await self._messages.edit(shown, part.closed)
        except CallError as error:
            if error.code != "message_not_found":
                raise
            log.warning("a message of the reply is gone; it is posted anew")
            del self._shown[shown.number]
            self._keep(await self._messages.post(shown.number, part.closed))
        return True

    async def _take_away(self, count: int) -> None:
        """Delete the messages that the answer, now shorter, has no text for."""
        for number in sorted(self._shown, reverse=True):
            if number >= count:
                await self._remove(self._shown[number])

    async def _remove(self, shown: Shown) -> None:
        if shown.live:
            await self._messages.end(shown)
        await self._messages.delete(shown)
        del self._shown[shown.number]
        self._settled.pop(shown.number, None)

    async def _end_what_is_too_old(self) -> None:
        """End a stream before Slack does; what comes next begins another."""
        live = self._live()
        if live is None or self._clock.monotonic() - live.started < STREAM_AGE:
            return
        if live.number == len(self._text.parts) - 1:
            self._text.cut(len(live.sent or ""))
        elif live.number >= len(self._text.parts):
            await self._end(live)

    async def _take_over(self) -> None:
        """Take over what an earlier run of this turn has put out, noted or not, oldest first."""
        for part in self._earlier:
            old = Shown(part.number, part.ts, part.delivery, None, live=not part.closed)
            if old.live:
                await self._messages.end(old)
            await self._messages.note(old)
        missed = await self._messages.missed()
        found = sorted([*(part.ts for part in self._earlier), *missed], key=order)
        if found:
            self._go_on_by_edits("an earlier run of this turn had begun the answer")
        for number, ts in enumerate(found):
            await self._messages.note(self._keep(Shown(number, ts, Delivery.EDITS, None)))
        self._to_take_over = False

    def _keep(self, shown: Shown) -> Shown:
        self._shown[shown.number] = shown
        return shown

    def _go_on_by_edits(self, why: str) -> None:
        if self._delivery is not Delivery.EDITS:
            self._delivery = Delivery.EDITS
            log.info("delivery=%s from here: %s", Delivery.EDITS, why)
