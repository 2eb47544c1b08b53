"""Opens replies and marks queued messages in Slack: implements `bot.ports.Workspace`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import ReplyPart, Turn
from bot.ports import Clock, Reply
from bot.slack.api.calls import SlackCallError
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral
from bot.slack.api.late_calls import LateCalls
from bot.slack.formatting.sanitize import escape_mentions
from bot.slack.identity import BotIdentity
from bot.slack.replies.delivery import ReplyDelivery, delivery_for
from bot.slack.replies.messages import ReplyMessages, SavePart
from bot.slack.replies.overflow_file import OverflowFile
from bot.slack.replies.pacer import Pacer
from bot.slack.replies.reply import SlackReply
from bot.slack.replies.status import ThreadStatuses
from bot.slack.replies.text import ReplyText

log = logging.getLogger(__name__)

WAITING_REACTION: Final = "hourglass_flowing_sand"
"""The reaction on a queued message."""

_PARTICIPANTS_SECONDS: Final = 10.0
_CALL_SECONDS: Final = 10.0
_REACTION_GONE_CODES: Final = frozenset({"no_reaction", "message_not_found", "channel_not_found"})
"""Codes of reactions.remove which mean that no reaction is left to remove."""
_CLOSE_SECONDS: Final = 28.0
"""Timeout in seconds for closing a reply. Together with the cancellation it stays below the 30 s of
`bot.ports`."""
_MAX_UNFINISHED_TURNS: Final = 1_000
_USER_MESSAGE_SUBTYPES: Final = frozenset({"", "file_share", "thread_broadcast", "me_message"})


class SlackWorkspace:
    """One workspace: implements `bot.ports.Workspace`."""

    def __init__(
        self, client: SlackClient, clock: Clock, save_part: SavePart, *, identity: BotIdentity
    ) -> None:
        """`save_part` is `ThreadStore.save_part`; `identity` is the bot's own."""
        self._client = client
        self._clock = clock
        self._save_part = save_part
        self._identity = identity
        self._pacer = Pacer(client.call.rate_limiter, clock)
        self._statuses = ThreadStatuses(client, clock)
        self._late_calls = LateCalls(clock)
        """Calls that add a reaction, by their messages."""
        self._unfinished_turns: deque[int] = deque(maxlen=_MAX_UNFINISHED_TURNS)
        """Turns whose answer is shown in part or not at all, which is not known. Their next reply
        reads the thread first."""

    @asynccontextmanager
    async def open_reply(
        self, turn: Turn, participants: frozenset[str], previous_parts: Sequence[ReplyPart] = ()
    ) -> AsyncIterator[Reply]:
        """`Workspace.open_reply`."""
        delivery, reason = delivery_for(turn.message, participants)
        log.info("delivery chosen: delivery=%s reason=%s", delivery, reason)
        status = self._statuses.open_status(turn.message.thread, resumed=turn.epoch > 1)
        text = ReplyText()
        resumed = turn.epoch > 1 or turn.id in self._unfinished_turns
        reply_delivery = ReplyDelivery(
            text,
            ReplyMessages(turn, self._client, self._clock, self._save_part, self._identity),
            delivery,
            self._pacer,
            self._clock,
            status,
            OverflowFile(turn, self._client, self._identity, resumed=resumed),
            previous_parts=previous_parts,
            resumed=resumed,
        )
        reply = SlackReply(turn.message.thread, text, reply_delivery, self._pacer, self._clock)
        try:
            yield reply
        finally:
            self._track_unfinished(turn, complete=reply.is_complete)
            deadline = self._clock.monotonic() + _CLOSE_SECONDS
            try:
                await reply.close()
            finally:
                reply.may_show_status = not await status.clear(deadline - self._clock.monotonic())

    def _track_unfinished(self, turn: Turn, *, complete: bool) -> None:
        if turn.id in self._unfinished_turns:
            self._unfinished_turns.remove(turn.id)
        if not complete:
            self._unfinished_turns.append(turn.id)

    async def fetch_participants(self, thread: ThreadKey) -> frozenset[str]:
        """`Workspace.fetch_participants`. Raises `SlackError`."""
        try:
            async with asyncio.timeout(_PARTICIPANTS_SECONDS):
                messages = [message async for message in self._client.replies(thread)]
        except TimeoutError as error:
            raise SlackCallError("timeout", f"none within {_PARTICIPANTS_SECONDS:.0f} s") from error
        return frozenset(str(m["user"]) for m in messages if _is_user_message(m))

    async def clear_status(self, thread: ThreadKey) -> bool:
        """`Workspace.clear_status`."""
        return await self._statuses.clear_status(thread)

    async def add_waiting_reaction(self, message: Message) -> bool:
        """`Workspace.add_waiting_reaction`. The turn of a button has no message to mark."""
        if message.trigger is Trigger.REPLY_ACTION:
            return False
        key = (message.thread.channel, message.ts)
        try:
            with self._late_calls.track(key):
                await self._client.call(
                    self._client.web.reactions_add,
                    max_wait=5.0,
                    seconds=_CALL_SECONDS,
                    channel=message.thread.channel,
                    timestamp=message.ts,
                    name=WAITING_REACTION,
                )
        except SlackCallError as error:
            if error.code == "already_reacted":
                return True
            log.warning("waiting reaction not added: message=%s reason=%s", message.ts, error)
            return error.maybe_done
        return True

    async def remove_waiting_reaction(self, message: Message) -> bool:
        """`Workspace.remove_waiting_reaction`. A mark that stays would announce an answer that has
        come."""
        if message.trigger is Trigger.REPLY_ACTION:
            return True
        try:
            await self._client.call(
                self._client.web.reactions_remove,
                max_wait=0.0,
                seconds=_CALL_SECONDS,
                channel=message.thread.channel,
                timestamp=message.ts,
                name=WAITING_REACTION,
            )
        except SlackCallError as error:
            if error.code not in _REACTION_GONE_CODES:
                raise
            return self._late_calls.is_expired((message.thread.channel, message.ts))
        return True

    async def post_notice(self, message: Message, text: str) -> bool:
        """`Workspace.post_notice`.

        Slack shows an ephemeral message in a thread only once the thread has replies. So for a
        message that starts a thread it goes into the channel.
        """
        try:
            await post_ephemeral(
                self._client,
                message.thread.channel,
                message.user,
                "" if message.starts_thread else message.thread.root_ts,
                max_wait=5.0,
                seconds=_CALL_SECONDS,
                markdown_text=escape_mentions(text),
            )
        except SlackCallError as error:
            log.warning("notice not posted: user=%s reason=%s", message.user, error)
            return error.maybe_done or not error.transient
        return True


def _is_user_message(message: Mapping[str, object]) -> bool:
    return (
        isinstance(message.get("user"), str)
        and not message.get("bot_id")
        and message.get("subtype", "") in _USER_MESSAGE_SUBTYPES
    )
