"""Brings a thread up to what its answer says: the ways of delivery, and what follows trouble.

A part of the answer is one message: idle until there is text for it, open while it is a live
stream, sealed when that has been stopped, and only changed by edits from then on. By streams while
they work, by edits from the moment that they do not: trouble changes how the text comes, never
the text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import Message, Trigger
from bot.domain.turns import Delivery, Part
from bot.ports import Clock
from bot.slack.api.calls import TOO_MANY, CallError
from bot.slack.api.client import order
from bot.slack.api.rate_limiter import Urgency
from bot.slack.replies.messages import Messages, Shown
from bot.slack.replies.overflow_file import WholeFile
from bot.slack.replies.pacer import Pace
from bot.slack.replies.splitter import PartText
from bot.slack.replies.status import Showing
from bot.slack.replies.text import ReplyText

log = logging.getLogger(__name__)

STREAM_AGE: Final = 240.0
"""Seconds after which a stream is ended and another one begun: Slack ends it after about 300,
whatever is written to it (slackapi/python-slack-sdk issue 1859)."""

HALT_SECONDS: Final = 10.0
"""So long after Stop was pressed the end of the answer is awaited before it is shown on. Slack ends
the stream for whoever presses, also for those who may not stop the answer."""

_BLOCKS_REFUSED: Final = frozenset(
    {"msg_blocks_too_many", "invalid_blocks", "invalid_blocks_format"}
)
_DOES_NOT_FIT: Final = _BLOCKS_REFUSED | {"msg_too_long", "no_text"}


def delivery_for(message: Message, people: frozenset[str]) -> tuple[Delivery, str]:
    """How an answer reaches its audience, and why so: Slack shows a stream live to one person."""
    if message.trigger is Trigger.BOT_MENTION:  # a bot is nobody to show a stream to
        return Delivery.EDITS, "another bot asks"
    everybody = people | {message.user}
    if message.direct:
        return Delivery.STREAM, "a direct message"
    if len(everybody) == 1:
        return Delivery.STREAM, "one person in the thread"
    return Delivery.EDITS, f"{len(everybody)} people in the thread"


class Delivering:
    """One reply's messages on their way. One caller at a time."""

    def __init__(
        self,
        text: ReplyText,
        messages: Messages,
        delivery: Delivery,
        pace: Pace,
        clock: Clock,
        showing: Showing,
        whole: WholeFile,
        *,
        earlier: Sequence[Part] = (),
        resumed: bool = False,
    ) -> None:
        """`resumed`: an earlier run of the turn may have put out `earlier`, and more unnoted."""
        self._text = text
        self._messages = messages
        self.delivery = delivery
        self._pace = pace
        self._clock = clock
        self._showing = showing
        self._whole = whole
        self._earlier = earlier
        self._to_take_over = resumed or bool(earlier)
        self._halted_until = 0.0
        self._last = False
        self._shown: dict[int, Shown] = {}
        self._settled: dict[int, PartText] = {}
        self._outdated: list[Shown] = []

    async def bring_up(self, *, last: bool) -> bool:
        """Bring the thread up to the text; False where that is not to be done yet.

        `last`: the text is whole, and waits for Slack where it must. Raises `CallError`; what has
        been done by then is not done again by the next call.
        """
        self._last = last
        if last and self._text.cut_short:
            self._text.say_beneath(await self._whole.give(self._text.said))
        while True:
            try:
                return await self._show_parts()
            except CallError as error:
                if error.code == TOO_MANY and not last:
                    return False
                if error.code not in _DOES_NOT_FIT or not self._try_otherwise(error):
                    raise
                log.warning("Slack would not have the text like this: %s", error)

    def until_too_old(self) -> float | None:
        """Seconds until a live stream has to be left; None while there is none."""
        live = self._live()
        if live is None:
            return None
        return max(0.0, live.started + STREAM_AGE - self._clock.monotonic())

    def halted_for(self) -> float:
        """For how many seconds what is shown stays as it is, for a person pressed Stop: until the
        end is known, or it shows that the answer goes on."""
        return max(0.0, self._halted_until - self._clock.monotonic())

    async def end_streams(self) -> None:
        """End what is live, with the text that it shows."""
        for shown in self._shown.values():
            if shown.live:
                await self._messages.end(shown)

    def _live(self) -> Shown | None:
        return next((shown for shown in self._shown.values() if shown.live), None)

    def _try_otherwise(self, error: CallError) -> bool:
        """Choose another form for a text that Slack refuses: without the foot where that may be
        what it refuses, in smaller parts, at last no Markdown.

        What counts as too long or as too much in one message is Slack's to know.
        """
        if error.code in _BLOCKS_REFUSED and self._text.drop_foot():
            return True
        self._settled.clear()
        if self._text.narrow():
            return True
        if self._messages.plain:
            return False
        self._text.drop_foot()
        self._messages.plain = True
        return True

    async def _show_parts(self) -> bool:
        if self._to_take_over:
            await self._take_over()
        await self._end_what_is_too_old()
        parts = self._text.parts
        all_shown = True
        for number, part in enumerate(parts):
            if self._settled.get(number) is part and not (part.note or part.foot):
                continue
            final = part.final  # before anything is awaited: meanwhile the part may grow
            if not await self._show_part(number, part):
                all_shown = False
            elif final:
                self._settled[number] = part
        if parts or self._last:
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
        if shown is None:
            return False
        if shown.live:
            await self._grow(shown, part)
        if shown.live:
            return True
        if self.halted_for() and not self._last:
            return False
        return await self._edit(shown, part)

    async def _begin(self, number: int, part: PartText) -> Shown | None:
        """The part's message: a stream where that is wanted and to be had, else a post. None where
        it is not to be begun yet: when so many write that it could not be ended.

        A part that is complete before it was begun needs no stream, and no end.
        """
        if part.final:
            return await self._post(number, part)
        way = self._pace.begin(self, self.delivery)
        if way is Delivery.STREAM:
            try:
                return self._keep(await self._messages.start(number, part.text))
            except CallError as error:
                self._go_on_by_edits(f"there is no stream to be had: {error}")
                way = self._pace.begin(self, self.delivery)
        if way is None:
            return None
        self._go_on_by_edits("so many are streamed that edits come sooner")
        return await self._post(number, part)

    async def _post(self, number: int, part: PartText) -> Shown:
        urgency = self._urgency(number)
        return self._keep(await self._messages.post(number, part.closed, part.foot, urgency))

    def _urgency(self, number: int) -> Urgency:
        """The end of the answer goes first; what comes on the way to it may be left out."""
        if not self._last:
            return Urgency.SPARE
        return Urgency.FIRST if number >= len(self._text.parts) - 1 else Urgency.USUAL

    async def _grow(self, shown: Shown, part: PartText) -> None:
        """Let a live stream say what the part says; where it cannot, it has ended."""
        wanted = part.closed if part.final else part.text
        if shown.sent is None or not wanted.startswith(shown.sent):
            self._go_on_by_edits("what the stream has shown does not count")
            await self._end(shown)
            return
        more = wanted[len(shown.sent) :]
        try:
            if part.final:
                stood = self._showing.stands
                await self._stop(shown, part, more)
                if not self._text.ended:
                    self._showing.renew()
                elif stood and self._showing.stands:
                    self._showing.taken_back()
            elif more:
                await self._messages.append(shown, more)
        except CallError as error:
            if error.code == TOO_MANY:
                raise  # the stream is as it was
            if error.code == "stopped_by_user":
                self._halted_until = self._clock.monotonic() + HALT_SECONDS
            self._go_on_by_edits(f"the stream broke: {error}")
            await self._end(shown)

    async def _stop(self, shown: Shown, part: PartText, more: str) -> None:
        """End a stream with the last of its text and the foot, if it is to be had."""
        try:
            await self._messages.stop(shown, more, part.foot, note=not self._last)
        except CallError as error:
            if error.code not in _BLOCKS_REFUSED or not self._text.drop_foot():
                raise
            log.warning("Slack would not have what stands under the reply: %s", error)
            await self._messages.stop(shown, more, note=not self._last)

    async def _end(self, live: Shown) -> None:
        """End a stream before its answer has ended."""
        await self._messages.end(live)
        if not self.halted_for() and not self._last:
            self._showing.renew()

    async def _edit(self, shown: Shown, part: PartText) -> bool:
        """Make a message say what the part says; False where that is not to be done yet."""
        says_it = shown.sent == part.closed
        if says_it and (shown.fixed or shown.foot == bool(part.foot)):
            return True
        if not shown.fixed:
            if not self._last and not self._pace.spares_edits:
                return False
            urgency = self._urgency(shown.number)
            try:
                await self._messages.edit(shown, part.closed, part.foot, urgency)
            except CallError as error:
                if error.passing or error.code in _DOES_NOT_FIT:
                    raise
                log.warning("a message of the reply can not be edited: %s", error)
                shown.fixed = True
            else:
                return True
            if says_it:  # only what stands under it would change: not worth a second message
                return True
        if not part.final and not self._last:
            return False  # what is posted anew may be as fixed: once, with all that it shall say
        return await self._edit(await self._post_instead(shown, part), part)

    async def _post_instead(self, fixed: Shown, part: PartText) -> Shown:
        """Say a part in another message than the one that cannot be edited, and so also what
        follows it: the thread is read from top to bottom."""
        shown = await self._post(fixed.number, part)
        self._outdated.append(fixed)
        for later in self._shown.values():
            if later.number > shown.number:
                later.fixed, later.sent = True, None
                self._settled.pop(later.number, None)
        return shown

    async def _take_away(self, count: int) -> None:
        """Delete the messages that others stand for, and those that the answer, now shorter, has
        no text for."""
        while self._outdated:
            await self._messages.delete(self._outdated[0])
            del self._outdated[0]
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
        found = sorted({*(part.ts for part in self._earlier), *missed}, key=order)
        if found:
            self._go_on_by_edits("an earlier run of this turn had begun the answer")
            self._pace.go_on(self)
        for number, ts in enumerate(found):
            await self._messages.note(self._keep(Shown(number, ts, Delivery.EDITS, None)))
        self._to_take_over = False

    def _keep(self, shown: Shown) -> Shown:
        self._shown[shown.number] = shown
        return shown

    def _go_on_by_edits(self, why: str) -> None:
        if self.delivery is not Delivery.EDITS:
            self.delivery = Delivery.EDITS
            log.info("delivery=%s from here: %s", Delivery.EDITS, why)
