"""Posts, streams and edits the messages of a reply, and finds them again after an error.

Slack does not detect duplicate posts. So each message of a reply carries its turn and its part
number as metadata. A post that may have been carried out is never repeated before the thread has
been read.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.domain.turns import Delivery, ReplyPart, Turn
from bot.errors import BotError
from bot.ports import Clock
from bot.slack.api.calls import CALL_SECONDS, MAX_WAIT_SECONDS, CallContext, SlackCallError
from bot.slack.api.client import SlackClient, ts_sort_key
from bot.slack.api.post_search import has_metadata, search_start
from bot.slack.api.rate_limiter import Priority
from bot.slack.cards.render import FALLBACK_CHARS
from bot.slack.formatting.mrkdwn import escape
from bot.slack.formatting.sanitize import truncate_escaped
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)

ActionBlocks = Sequence[Mapping[str, object]]
"""The blocks below the text of a message."""

SavePart = Callable[[Turn, ReplyPart], Awaitable[None]]
"""Saves the message of a part of a turn's reply: `ThreadStore.save_part`."""

REPLY_EVENT_TYPE: Final = "threadpilot_turn"
"""The type of the metadata on each message of a reply."""

_STREAM_MAX_WAIT_SECONDS: Final = 50.0
"""Maximum time in seconds that the end of a stream waits for the rate limit. A stream lives for
about 300 s, and is ended after 240 (`bot.slack.replies.delivery.MAX_STREAM_AGE_SECONDS`)."""
_NOT_FOUND_CODE: Final = "message_not_found"
_STOPPED_BY_USER_CODE: Final = "stopped_by_user"
_STREAM_ENDED_CODES: Final = frozenset({"message_not_in_streaming_state", _STOPPED_BY_USER_CODE})


@dataclass(slots=True)
class PostedMessage:
    """What is known about one message of a reply."""

    number: int
    ts: str
    delivery: Delivery
    sent_text: str | None
    """The text that it certainly shows, or None if that is not certain."""
    has_actions: bool = False
    """Whether it shows actions; as certain as `sent_text`."""
    is_live: bool = False
    """Whether it is a stream that has not been stopped."""
    started_at: float = 0.0
    """When its stream started, on the clock's `monotonic`."""
    is_uneditable: bool = False
    """Whether it cannot be edited: a changed text needs another message."""
    is_saved_closed: bool = False
    """Whether it is saved as a message that needs no closing."""


class ReplyMessages:
    """Sends the messages of one turn's reply. All methods raise `SlackCallError`."""

    def __init__(
        self,
        turn: Turn,
        client: SlackClient,
        clock: Clock,
        save_part: SavePart,
        identity: BotIdentity,
    ) -> None:
        self._turn = turn
        self._identity = identity
        self._client = client
        self._clock = clock
        self._save_part = save_part
        self._saved_ts: set[str] = set()
        self._post_uncertain = False
        self._thread = f"{turn.message.thread.channel}/{turn.message.thread.root_ts}"
        self.use_plain_text = False
        """Whether Slack refused the text as Markdown. Then it is sent as plain text."""

    async def start_stream(self, number: int, text: str) -> PostedMessage:
        """Start a native stream, live for the author of the question. Does not wait for the rate
        limit."""
        message, started = self._turn.message, self._clock.monotonic()
        try:
            response = await self._client.call(
                self._client.web.chat_startStream,
                self._call_context(Priority.OPTIONAL),
                channel=message.thread.channel,
                thread_ts=message.thread.root_ts,
                recipient_user_id=message.user,
                recipient_team_id=message.user_team,
                chunks=_chunks(text),
            )
            ts = _ts(response)
        except SlackCallError as error:
            self._post_uncertain = error.maybe_done
            raise
        posted = PostedMessage(number, ts, Delivery.STREAM, text, is_live=True, started_at=started)
        await self.save_message(posted)
        return posted

    async def append_stream(self, message: PostedMessage, text: str) -> None:
        """Append text to a live stream. Does not wait for the rate limit."""
        await self._client.call(
            self._client.web.chat_appendStream,
            self._call_context(Priority.OPTIONAL),
            channel=self._turn.message.thread.channel,
            ts=message.ts,
            chunks=_chunks(text),
        )
        message.sent_text = (message.sent_text or "") + text

    async def stop_stream(
        self,
        message: PostedMessage,
        text: str = "",
        action_blocks: ActionBlocks = (),
        *,
        save: bool = True,
    ) -> None:
        """Stop a live stream, with the rest of its text and the actions.

        `save`: whether to save the message here. A turn that ends at once saves it with its end. If
        the bot dies in between, the stream is stopped once more, which Slack refuses.
        """
        await self._call_stop_stream(message, text, action_blocks)
        if save:
            await self.save_message(message)

    async def _call_stop_stream(
        self, message: PostedMessage, text: str = "", action_blocks: ActionBlocks = ()
    ) -> None:
        await self._client.call(
            self._client.web.chat_stopStream,
            self._call_context(Priority.HIGH),
            max_wait=_STREAM_MAX_WAIT_SECONDS,
            channel=self._turn.message.thread.channel,
            ts=message.ts,
            chunks=_chunks(text) if text else None,
            blocks=list(action_blocks) or None,
            metadata=self._metadata(message.number),
        )
        message.has_actions = bool(action_blocks)
        message.sent_text = None if message.sent_text is None else message.sent_text + text
        message.is_live = False

    async def close_stream(self, message: PostedMessage) -> None:
        """Make sure that a stream whose text is not certain has stopped. The text needs an edit
        then."""
        try:
            await self.stop_stream(message)
        except SlackCallError as error:
            if error.code in _STREAM_ENDED_CODES:
                message.is_live = False
                await self.save_message(message)
            else:
                log.warning("stream not stopped: reason=%s", error)
        message.is_live, message.sent_text = False, None

    async def post(
        self, number: int, text: str, action_blocks: ActionBlocks, priority: Priority
    ) -> PostedMessage:
        """Post a new message, or find an earlier post of it. A found message has `sent_text`
        None."""
        if self._post_uncertain:
            found = await self.find_unsaved()
            self._post_uncertain = False
            if found:
                log.info("message found in the thread: its call had failed")
                posted = PostedMessage(number, found[0], Delivery.EDITS, None)
                await self.save_message(posted)
                return posted
        try:
            response = await self._client.call(
                self._client.web.chat_postMessage,
                self._call_context(priority),
                max_wait=MAX_WAIT_SECONDS,
                seconds=CALL_SECONDS,
                channel=self._turn.message.thread.channel,
                thread_ts=self._turn.message.thread.root_ts,
                metadata=self._metadata(number),
                unfurl_links=False,
                unfurl_media=False,
                **self._content(text, action_blocks),
            )
            ts = _ts(response)
        except SlackCallError as error:
            self._post_uncertain = error.maybe_done
            raise
        posted = PostedMessage(number, ts, Delivery.EDITS, text, bool(action_blocks))
        await self.save_message(posted)
        return posted

    async def edit(
        self, message: PostedMessage, text: str, action_blocks: ActionBlocks, priority: Priority
    ) -> None:
        """Edit a message that is not a live stream, to show `text` and `action_blocks` only."""
        try:
            await self._update(message, text, action_blocks, priority)
        except SlackCallError as error:
            if error.code != "streaming_state_conflict":
                raise
            await self.stop_stream(message)
            await self._update(message, text, action_blocks, priority)
        message.sent_text, message.has_actions = text, bool(action_blocks)
        if not message.is_saved_closed:
            await self.save_message(message)

    async def delete_message(self, message: PostedMessage) -> None:
        """Delete a message, if Slack allows it. A message that is already gone is no error."""
        try:
            await self._client.call(
                self._client.web.chat_delete,
                channel=self._turn.message.thread.channel,
                ts=message.ts,
            )
        except SlackCallError as error:
            if error.transient:
                raise
            if error.code != _NOT_FOUND_CODE:
                log.warning("message not deleted: reason=%s", error)

    async def find_unsaved(self) -> Sequence[str]:
        """The `ts` of each unsaved message of this reply in Slack, oldest first.

        A stream has no metadata before it is stopped. So a message of the bot without metadata
        belongs to this reply if it can be stopped as a stream. No other turn has a stream in the
        thread now, and what the bot posts there for a user's question is no stream.
        """
        question = self._turn.message
        since = search_start(question)
        found: list[str] = []
        async for message in self._client.replies(question.thread, oldest=since):
            ts = message.get("ts")
            if (
                not isinstance(ts, str)
                or ts in self._saved_ts
                or ts_sort_key(ts) <= ts_sort_key(since)
            ):
                continue
            if message.get("bot_id") != self._identity.bot:
                continue
            if has_metadata(message, REPLY_EVENT_TYPE, {"turn": self._turn.id}) or (
                not message.get("metadata") and await self._try_stop_stream(ts)
            ):
                found.append(ts)
        return sorted(found, key=ts_sort_key)

    async def save_message(self, message: PostedMessage) -> None:
        """Save a message, so that the turn can adopt it after a restart."""
        self._saved_ts.add(message.ts)
        part = ReplyPart(
            number=message.number,
            ts=message.ts,
            delivery=message.delivery,
            closed=not message.is_live,
        )
        try:
            await self._save_part(self._turn, part)
        except BotError as error:
            log.warning("reply part not saved: reason=%s", error)
        else:
            message.is_saved_closed = part.closed

    async def _update(
        self, message: PostedMessage, text: str, action_blocks: ActionBlocks, priority: Priority
    ) -> None:
        await self._client.call(
            self._client.web.chat_update,
            self._call_context(priority),
            max_wait=MAX_WAIT_SECONDS,
            seconds=CALL_SECONDS,
            channel=self._turn.message.thread.channel,
            ts=message.ts,
            metadata=self._metadata(message.number),
            **self._content(text, action_blocks),
        )

    def _content(self, text: str, action_blocks: ActionBlocks) -> dict[str, object]:
        """The arguments that show `text` above `action_blocks`.

        Slack takes Markdown text beside no other blocks, but as one of them. The plain text is then
        for notifications only, and may be truncated.
        """
        if self.use_plain_text:
            return {"text": escape(text), "parse": "none"}
        if not action_blocks:
            return {"markdown_text": text}
        markdown = {"type": "markdown", "text": text}
        return {
            "blocks": [markdown, *action_blocks],
            "text": truncate_escaped(text, FALLBACK_CHARS),
            "parse": "none",
            "link_names": False,
        }

    async def _try_stop_stream(self, ts: str) -> bool:
        """True if a message was a live stream: it was stopped just now, or by a user's Stop button
        while the bot was away. Its part is not known yet, so nothing is saved: it would replace
        another part."""
        try:
            await self._call_stop_stream(PostedMessage(0, ts, Delivery.STREAM, None, is_live=True))
        except SlackCallError as error:
            if error.transient:
                raise
            return error.code == _STOPPED_BY_USER_CODE
        return True

    def _call_context(self, priority: Priority) -> CallContext:
        return CallContext(priority=priority, thread=self._thread)

    def _metadata(self, number: int) -> dict[str, object]:
        payload = {"turn": self._turn.id, "part": number}
        return {"event_type": REPLY_EVENT_TYPE, "event_payload": payload}


def _chunks(text: str) -> list[dict[str, object]]:
    # Always chunks: over its life a stream takes either chunks or markdown_text, not both.
    return [{"type": "markdown_text", "text": text}]


def _ts(response: Mapping[str, object]) -> str:
    ts = response.get("ts")
    if not isinstance(ts, str):
        raise SlackCallError("not_json", "no message in the response", maybe_done=True)
    return ts
