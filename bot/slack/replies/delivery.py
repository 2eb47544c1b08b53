"""Brings a thread up to date with its answer, and falls back to edits after an error.

Each part of the answer is one message. It starts when there is text for it. While it is a live
stream, text is appended; after the stream has stopped, the message is edited.

Streams are used while they work. After a failure the rest comes by edits. An error changes how the
text is delivered, never the text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import Message, Trigger
from bot.domain.turns import Delivery, ReplyPart
from bot.ports import Clock
from bot.slack.api.calls import RATE_LIMITED, SlackCallError
from bot.slack.api.client import ts_sort_key
from bot.slack.api.rate_limiter import Priority
from bot.slack.replies.messages import PostedMessage, ReplyMessages
from bot.slack.replies.overflow_file import OverflowFile
from bot.slack.replies.pacer import Pacer
from bot.slack.replies.splitter import PartText
from bot.slack.replies.status import StatusHandle
from bot.slack.replies.text import ReplyText

log = logging.getLogger(__name__)

MAX_STREAM_AGE_SECONDS: Final = 240.0
"""Maximum age of a stream in seconds; then another one starts. Slack ends a stream after about 300,
even if it is still written to (slackapi/python-slack-sdk issue 1859)."""

HALT_SECONDS: Final = 10.0
"""Seconds to wait for the end of the answer after a user pressed Stop, before it is shown on. Slack
stops the stream for any user who presses it, even for one who may not stop the answer."""

_BLOCK_ERROR_CODES: Final = frozenset(
    {"msg_blocks_too_many", "invalid_blocks", "invalid_blocks_format"}
)
_FORMAT_ERROR_CODES: Final = _BLOCK_ERROR_CODES | {"msg_too_long", "no_text"}


def delivery_for(message: Message, participants: frozenset[str]) -> tuple[Delivery, str]:
    """The delivery for a message, and the reason for the log. Slack shows a stream live to one user
    only."""
    if message.trigger is Trigger.BOT_MENTION:  # a stream is live for users only
        return Delivery.EDITS, "question of another bot"
    users = participants | {message.user}
    if message.direct:
        return Delivery.STREAM, "a direct message"
    if len(users) == 1:
        return Delivery.STREAM, "one user in the thread"
    return Delivery.EDITS, f"{len(users)} users in the thread"


class ReplyDelivery:
    """Delivers the messages of one reply. Not safe for concurrent calls."""

    def __init__(
        self,
        text: ReplyText,
        messages: ReplyMessages,
        delivery: Delivery,
        pacer: Pacer,
        clock: Clock,
        status: StatusHandle,
        overflow_file: OverflowFile,
        *,
        previous_parts: Sequence[ReplyPart] = (),
        resumed: bool = False,
    ) -> None:
        """`resumed`: an earlier run of the turn may have posted `previous_parts`, and more that it
        did not save."""
        self._text = text
        self._messages = messages
        self.delivery = delivery
        self._pacer = pacer
        self._clock = clock
        self._status = status
        self._overflow_file = overflow_file
        self._previous_parts = previous_parts
        self._needs_adoption = resumed or bool(previous_parts)
        self._halted_until = 0.0
        self._final = False
        self._posted: dict[int, PostedMessage] = {}
        self._synced: dict[int, PartText] = {}
        self._outdated: list[PostedMessage] = []

    async def sync(self, *, final: bool) -> bool:
        """Bring the thread up to date. Returns False if some of the text has to wait.

        `final`: the text is complete, and the call waits for Slack as long as it must. Raises
        `SlackCallError`; the next call repeats nothing that is done by then.
        """
        self._final = final
        if final and self._text.is_truncated:
            self._text.set_overflow_note(await self._overflow_file.share(self._text.full_text))
        while True:
            try:
                return await self._sync_parts()
            except SlackCallError as error:
                if error.code == RATE_LIMITED and not final:
                    return False
                if error.code not in _FORMAT_ERROR_CODES or not self._try_simpler_format(error):
                    raise
                log.warning("reply text refused, simpler form follows: reason=%s", error)

    def remaining_stream_seconds(self) -> float | None:
        """Seconds until the live stream has to stop; None if there is none."""
        live = self._live_stream()
        if live is None:
            return None
        return max(0.0, live.started_at + MAX_STREAM_AGE_SECONDS - self._clock.monotonic())

    def remaining_halt_seconds(self) -> float:
        """Seconds for which the shown text stays as it is, after a user pressed Stop. It goes on
        earlier if the answer ends."""
        return max(0.0, self._halted_until - self._clock.monotonic())

    async def end_streams(self) -> None:
        """Stop the live streams, with the text that they show."""
        for message in self._posted.values():
            if message.is_live:
                await self._messages.close_stream(message)

    def _live_stream(self) -> PostedMessage | None:
        return next((message for message in self._posted.values() if message.is_live), None)

    def _try_simpler_format(self, error: SlackCallError) -> bool:
        """Choose a simpler form for a text that Slack refused; False if there is none.

        It drops the actions if they may be the reason, then makes the parts smaller, and last gives
        up Markdown. What is too long or too much for one message is not documented.
        """
        if error.code in _BLOCK_ERROR_CODES and self._text.drop_actions():
            return True
        self._synced.clear()
        if self._text.shrink_parts():
            return True
        if self._messages.use_plain_text:
            return False
        self._text.drop_actions()
        self._messages.use_plain_text = True
        return True

    async def _sync_parts(self) -> bool:
        if self._needs_adoption:
            await self._adopt_previous()
        await self._end_expired_stream()
        parts = self._text.parts
        all_shown = True
        for number, part in enumerate(parts):
            if self._synced.get(number) is part and not (part.note or part.action_blocks):
                continue
            final = part.is_final  # read before awaiting: the part may grow in that time
            if not await self._sync_part(number, part):
                all_shown = False
            elif final:
                self._synced[number] = part
        if parts or self._final:
            await self._delete_surplus(len(parts))
        return all_shown

    async def _sync_part(self, number: int, part: PartText) -> bool:
        message = self._posted.get(number)
        if part.is_blank:
            if message is not None and part.is_final:
                await self._remove(message)
            return True
        if message is None:
            message = await self._start_message(number, part)
        if message is None:
            return False
        if message.is_live:
            await self._append_stream(message, part)
        if message.is_live:
            return True
        if self.remaining_halt_seconds() and not self._final:
            return False
        return await self._edit(message, part)

    async def _start_message(self, number: int, part: PartText) -> PostedMessage | None:
        """Start the message of a part: as a stream if possible, otherwise as a post. None if it has
        to wait, because so many replies write that it could not be ended.

        A part that is complete before it starts needs no stream and no end.
        """
        if part.is_final:
            return await self._post(number, part)
        delivery = self._pacer.begin_message(self, self.delivery)
        if delivery is Delivery.STREAM:
            try:
                return self._register(await self._messages.start_stream(number, part.text))
            except SlackCallError as error:
                self._switch_to_edits(f"stream not started: {error}")
                delivery = self._pacer.begin_message(self, self.delivery)
        if delivery is None:
            return None
        self._switch_to_edits("edits come sooner than streams")
        return await self._post(number, part)

    async def _post(self, number: int, part: PartText) -> PostedMessage:
        priority = self._priority(number)
        return self._register(
            await self._messages.post(number, part.closed_text, part.action_blocks, priority)
        )

    def _priority(self, number: int) -> Priority:
        """The priority of a call: the end of the answer comes first, partial text is optional."""
        if not self._final:
            return Priority.OPTIONAL
        return Priority.HIGH if number >= len(self._text.parts) - 1 else Priority.NORMAL

    async def _append_stream(self, message: PostedMessage, part: PartText) -> None:
        """Append the new text of a part to its live stream. If that fails, the stream has ended."""
        wanted = part.closed_text if part.is_final else part.text
        if message.sent_text is None or not wanted.startswith(message.sent_text):
            self._switch_to_edits("stream shows another text")
            await self._abort_stream(message)
            return
        more = wanted[len(message.sent_text) :]
        try:
            if part.is_final:
                was_confirmed = self._status.is_confirmed
                await self._stop_stream(message, part, more)
                if not self._text.is_finished:
                    self._status.renew()
                elif was_confirmed and self._status.is_confirmed:
                    self._status.mark_cleared()
            elif more:
                await self._messages.append_stream(message, more)
        except SlackCallError as error:
            if error.code == RATE_LIMITED:
                raise  # the stream is unchanged
            if error.code == "stopped_by_user":
                self._halted_until = self._clock.monotonic() + HALT_SECONDS
            self._switch_to_edits(f"stream failed: {error}")
            await self._abort_stream(message)

    async def _stop_stream(self, message: PostedMessage, part: PartText, more: str) -> None:
        """Stop a stream with the rest of its text and the actions, unless Slack refuses these."""
        try:
            await self._messages.stop_stream(
                message, more, part.action_blocks, save=not self._final
            )
        except SlackCallError as error:
            if error.code not in _BLOCK_ERROR_CODES or not self._text.drop_actions():
                raise
            log.warning("reply actions refused: reason=%s", error)
            await self._messages.stop_stream(message, more, save=not self._final)

    async def _abort_stream(self, message: PostedMessage) -> None:
        """Stop a stream before its answer has ended."""
        await self._messages.close_stream(message)
        if not self.remaining_halt_seconds() and not self._final:
            self._status.renew()

    async def _edit(self, message: PostedMessage, part: PartText) -> bool:
        """Edit a message to show its part. Returns False if that has to wait."""
        is_current = message.sent_text == part.closed_text
        if is_current and (
            message.is_uneditable or message.has_actions == bool(part.action_blocks)
        ):
            return True
        if not message.is_uneditable:
            if not self._final and not self._pacer.has_available_edits:
                return False
            priority = self._priority(message.number)
            try:
                await self._messages.edit(message, part.closed_text, part.action_blocks, priority)
            except SlackCallError as error:
                if error.transient or error.code in _FORMAT_ERROR_CODES:
                    raise
                log.warning("reply message not edited, a new one follows: reason=%s", error)
                message.is_uneditable = True
            else:
                return True
            if is_current:  # only the actions would change: not worth a second message
                return True
        if not part.is_final and not self._final:
            return False  # a new post may be just as uneditable: post it once, with its full text
        return await self._edit(await self._repost(message, part), part)

    async def _repost(self, uneditable: PostedMessage, part: PartText) -> PostedMessage:
        """Post a part again, because its message cannot be edited. The parts after it are posted
        again too: a thread is read from top to bottom."""
        reposted = await self._post(uneditable.number, part)
        self._outdated.append(uneditable)
        for later in self._posted.values():
            if later.number > reposted.number:
                later.is_uneditable, later.sent_text = True, None
                self._synced.pop(later.number, None)
        return reposted

    async def _delete_surplus(self, count: int) -> None:
        """Delete the messages that were posted again, and those beyond the end of a shorter
        answer."""
        while self._outdated:
            await self._messages.delete_message(self._outdated[0])
            del self._outdated[0]
        for number in sorted(self._posted, reverse=True):
            if number >= count:
                await self._remove(self._posted[number])

    async def _remove(self, message: PostedMessage) -> None:
        if message.is_live:
            await self._messages.close_stream(message)
        await self._messages.delete_message(message)
        del self._posted[message.number]
        self._synced.pop(message.number, None)

    async def _end_expired_stream(self) -> None:
        """Stop a stream before Slack does; the next text starts another."""
        live = self._live_stream()
        if live is None or self._clock.monotonic() - live.started_at < MAX_STREAM_AGE_SECONDS:
            return
        if live.number == len(self._text.parts) - 1:
            self._text.end_part(len(live.sent_text or ""))
        elif live.number >= len(self._text.parts):
            await self._abort_stream(live)

    async def _adopt_previous(self) -> None:
        """Adopt the messages that an earlier run of this turn posted, saved or not, oldest
        first."""
        for part in self._previous_parts:
            old = PostedMessage(part.number, part.ts, part.delivery, None, is_live=not part.closed)
            if old.is_live:
                await self._messages.close_stream(old)
            await self._messages.save_message(old)
        unsaved = await self._messages.find_unsaved()
        found = sorted({*(part.ts for part in self._previous_parts), *unsaved}, key=ts_sort_key)
        if found:
            self._switch_to_edits("answer begun by an earlier run")
            self._pacer.register(self)
        for number, ts in enumerate(found):
            await self._messages.save_message(
                self._register(PostedMessage(number, ts, Delivery.EDITS, None))
            )
        self._needs_adoption = False

    def _register(self, message: PostedMessage) -> PostedMessage:
        self._posted[message.number] = message
        return message

    def _switch_to_edits(self, reason: str) -> None:
        if self.delivery is not Delivery.EDITS:
            self.delivery = Delivery.EDITS
            log.info("delivery changed: delivery=%s reason=%s", Delivery.EDITS, reason)
