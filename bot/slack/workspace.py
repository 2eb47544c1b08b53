"""What the story asks of Slack, where it posts: `bot.ports.Workspace`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import Part, Turn
from bot.ports import Clock, Reply
from bot.slack.api.calls import CallError, Cause
from bot.slack.api.client import Client
from bot.slack.api.late_calls import LateCalls
from bot.slack.api.rate_limiter import Urgency
from bot.slack.formatting.sanitize import defanged
from bot.slack.identity import Identity
from bot.slack.replies.delivery import Delivering, delivery_for
from bot.slack.replies.messages import Messages, NotePart
from bot.slack.replies.overflow_file import WholeFile
from bot.slack.replies.pacer import Pace
from bot.slack.replies.reply import SlackReply
from bot.slack.replies.status import Statuses
from bot.slack.replies.text import ReplyText

log = logging.getLogger(__name__)

WAITING: Final = "hourglass_flowing_sand"
"""The reaction on a message that waits its turn."""

_PEOPLE_SECONDS: Final = 10.0
_ASIDE_SECONDS: Final = 10.0
_NOT_THERE: Final = frozenset({"no_reaction", "message_not_found", "channel_not_found"})
"""reactions.remove: there is no mark, or nobody whom it could tell anything."""
_LEAVE_SECONDS: Final = 28.0
"""Leaving a reply, in all: with what it takes to cancel less than the 30 s of `bot.ports`."""
_MAX_LEFT: Final = 1_000
_WRITTEN_BY_A_PERSON: Final = frozenset({"", "file_share", "thread_broadcast", "me_message"})


class SlackWorkspace:
    """One workspace."""

    def __init__(self, client: Client, clock: Clock, note_part: NotePart, *, us: Identity) -> None:
        """`note_part` is `Store.note_part`; `us` is who the bot is."""
        self._client = client
        self._clock = clock
        self._note_part = note_part
        self._us = us
        self._pace = Pace(client.calls.budget, clock)
        self._statuses = Statuses(client, clock)
        self._late = LateCalls(clock)
        """Marks by their messages."""
        self._left: deque[int] = deque(maxlen=_MAX_LEFT)
        """The turns whose answer stands in the thread in part or not at all, and nobody knows
        which; their next reply looks at the thread first."""

    @asynccontextmanager
    async def reply_to(
        self, turn: Turn, people: frozenset[str], earlier: Sequence[Part] = ()
    ) -> AsyncIterator[Reply]:
        """`Workspace.reply_to`."""
        delivery, why = delivery_for(turn.message, people)
        log.info("delivery=%s: %s", delivery, why)
        showing = self._statuses.show(turn.message.thread, resumed=turn.epoch > 1)
        text = ReplyText()
        resumed = turn.epoch > 1 or turn.id in self._left
        delivering = Delivering(
            text,
            Messages(turn, self._client, self._clock, self._note_part, self._us),
            delivery,
            self._pace,
            self._clock,
            showing,
            WholeFile(turn, self._client, self._us, resumed=resumed),
            earlier=earlier,
            resumed=resumed,
        )
        reply = SlackReply(turn.message.thread, text, delivering, self._pace, self._clock)
        try:
            yield reply
        finally:
            self._remember(turn, whole=reply.whole)
            leave_by = self._clock.monotonic() + _LEAVE_SECONDS
            try:
                await reply.close()
            finally:
                reply.status_left = not await showing.end(leave_by - self._clock.monotonic())

    def _remember(self, turn: Turn, *, whole: bool) -> None:
        if turn.id in self._left:
            self._left.remove(turn.id)
        if not whole:
            self._left.append(turn.id)

    async def people_in(self, thread: ThreadKey) -> frozenset[str]:
        """`Workspace.people_in`. Raises `SlackError`."""
        try:
            async with asyncio.timeout(_PEOPLE_SECONDS):
                messages = [message async for message in self._client.replies(thread)]
        except TimeoutError as error:
            raise CallError("timeout", f"none within {_PEOPLE_SECONDS:.0f} s") from error
        return frozenset(str(m["user"]) for m in messages if _by_a_person(m))

    async def take_status_back(self, thread: ThreadKey) -> bool:
        """`Workspace.take_status_back`."""
        return await self._statuses.take_back(thread)

    async def mark_waiting(self, message: Message) -> bool:
        """`Workspace.mark_waiting`. Of a press there is no message to mark."""
        if message.trigger is Trigger.MENU:
            return False
        place = (message.thread.channel, message.ts)
        try:
            with self._late.noted(place):
                await self._client.calls(
                    self._client.web.reactions_add,
                    patience=5.0,
                    seconds=_ASIDE_SECONDS,
                    channel=message.thread.channel,
                    timestamp=message.ts,
                    name=WAITING,
                )
        except CallError as error:
            if error.code == "already_reacted":
                return True
            log.warning("a message is not shown as waiting: %s", error)
            return error.maybe_done
        return True

    async def unmark_waiting(self, message: Message) -> bool:
        """`Workspace.unmark_waiting`: a mark that stays tells of a wait that is over."""
        if message.trigger is Trigger.MENU:
            return True
        try:
            await self._client.calls(
                self._client.web.reactions_remove,
                patience=0.0,
                seconds=_ASIDE_SECONDS,
                channel=message.thread.channel,
                timestamp=message.ts,
                name=WAITING,
            )
        except CallError as error:
            if error.code not in _NOT_THERE:
                raise
            return self._late.over((message.thread.channel, message.ts))
        return True

    async def whisper(self, message: Message, sentence: str) -> bool:
        """`Workspace.whisper`. Slack shows it in a thread only once that has an answer, so beside
        a message that starts one it goes into the channel."""
        try:
            await self._client.calls(
                self._client.web.chat_postEphemeral,
                Cause(urgency=Urgency.FIRST),
                patience=5.0,
                seconds=_ASIDE_SECONDS,
                channel=message.thread.channel,
                user=message.user,
                thread_ts=None if message.starts_thread else message.thread.root_ts,
                markdown_text=defanged(sentence),
            )
        except CallError as error:
            log.warning("somebody could not be told alone: %s", error)
            return error.maybe_done or not error.passing
        return True


def _by_a_person(message: Mapping[str, object]) -> bool:
    return (
        isinstance(message.get("user"), str)
        and not message.get("bot_id")
        and message.get("subtype", "") in _WRITTEN_BY_A_PERSON
    )
