"""The messages that a reply consists of in Slack: begun, grown, edited, found again.

Slack marks nothing as already said. So every message of a reply carries its turn and part number
as metadata, and a call that posts is never repeated while it may have been done: the thread is
read first.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.domain.messages import Trigger
from bot.domain.turns import Delivery, Part, Turn
from bot.errors import BotError
from bot.ports import Clock
from bot.slack.api.calls import CALL_SECONDS, PATIENCE, CallError, Cause
from bot.slack.api.client import Client, order
from bot.slack.api.rate_limiter import Urgency
from bot.slack.cards.render import FALLBACK_CHARS
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.formatting.sanitize import clipped
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

Foot = Sequence[Mapping[str, object]]
"""The blocks under a message."""

NotePart = Callable[[Turn, Part], Awaitable[None]]
"""Keeps where a part of a turn's reply stands: `Store.note_part`."""

EVENT_TYPE: Final = "threadpilot_turn"
"""The metadata's name on every message of a reply."""

_STREAM_PATIENCE: Final = 50.0
"""Seconds that the end of a stream waits out a rate limit: it has about 300 s to live, and is left
after 240 (`bot.slack.replies.delivery.STREAM_AGE`)."""
_GONE: Final = "message_not_found"
_BY_A_PERSON: Final = "stopped_by_user"
_OVER: Final = frozenset({"message_not_in_streaming_state", _BY_A_PERSON})


@dataclass(slots=True)
class Shown:
    """One message of a reply, as far as is known."""

    number: int
    ts: str
    delivery: Delivery
    sent: str | None
    """What it says for certain; None while that is not certain."""
    foot: bool = False
    """Whether a foot stands under it; as certain as `sent`."""
    live: bool = False
    """Whether it is a stream that has not been stopped."""
    started: float = 0.0
    """When its stream was started, on the clock's `monotonic`."""
    fixed: bool = False
    """Whether it cannot be edited: what it shall say has to be said in another message."""
    noted_closed: bool = False
    """Whether it is on record as a message that needs no closing."""


class Messages:
    """What can be done with the messages of one turn's reply. Everything raises `CallError`."""

    def __init__(
        self, turn: Turn, client: Client, clock: Clock, note_part: NotePart, us: Identity
    ) -> None:
        self._turn = turn
        self._us = us
        self._client = client
        self._clock = clock
        self._note_part = note_part
        self._known: set[str] = set()
        self._unsure = False
        self._thread = f"{turn.message.thread.channel}/{turn.message.thread.root_ts}"
        self.plain = False
        """Whether Slack would not have the text as Markdown: then it comes as it was typed."""

    async def start(self, number: int, text: str) -> Shown:
        """Begin a native stream, live for the person who asked; not when that has to wait."""
        message, started = self._turn.message, self._clock.monotonic()
        try:
            answer = await self._client.calls(
                self._client.web.chat_startStream,
                self._cause(Urgency.SPARE),
                channel=message.thread.channel,
                thread_ts=message.thread.root_ts,
                recipient_user_id=message.user,
                recipient_team_id=message.user_team,
                chunks=_chunks(text),
            )
            ts = _ts(answer)
        except CallError as error:
            self._unsure = error.maybe_done
            raise
        shown = Shown(number, ts, Delivery.STREAM, text, live=True, started=started)
        await self.note(shown)
        return shown

    async def append(self, shown: Shown, more: str) -> None:
        """Let a live stream say more; not when that has to wait."""
        await self._client.calls(
            self._client.web.chat_appendStream,
            self._cause(Urgency.SPARE),
            channel=self._turn.message.thread.channel,
            ts=shown.ts,
            chunks=_chunks(more),
        )
        shown.sent = (shown.sent or "") + more

    async def stop(
        self, shown: Shown, more: str = "", foot: Foot = (), *, note: bool = True
    ) -> None:
        """End a live stream, with the last of its text and what stands under it.

        `note`: whether that is put on record here. Where the turn ends at once, its end does that;
        after a death between the two the stream is ended once more, which Slack refuses.
        """
        await self._end_stream(shown, more, foot)
        if note:
            await self.note(shown)

    async def _end_stream(self, shown: Shown, more: str = "", foot: Foot = ()) -> None:
        await self._client.calls(
            self._client.web.chat_stopStream,
            self._cause(Urgency.FIRST),
            patience=_STREAM_PATIENCE,
            channel=self._turn.message.thread.channel,
            ts=shown.ts,
            chunks=_chunks(more) if more else None,
            blocks=list(foot) or None,
            metadata=self._metadata(shown.number),
        )
        shown.foot = bool(foot)
        shown.sent = None if shown.sent is None else shown.sent + more
        shown.live = False

    async def end(self, shown: Shown) -> None:
        """See to it that a stream whose text is not certain has ended; the text is to be edited."""
        try:
            await self.stop(shown)
        except CallError as error:
            if error.code in _OVER:
                shown.live = False
                await self.note(shown)
            else:
                log.warning("a stream could not be stopped: %s", error)
        shown.live, shown.sent = False, None

    async def post(self, number: int, text: str, foot: Foot, urgency: Urgency) -> Shown:
        """Say it in a message of its own; or find that it has been said, with `sent` None."""
        if self._unsure:
            missed = await self.missed()
            self._unsure = False
            if missed:
                log.info("a message had been posted though its call failed")
                shown = Shown(number, missed[0], Delivery.EDITS, None)
                await self.note(shown)
                return shown
        try:
            answer = await self._client.calls(
                self._client.web.chat_postMessage,
                self._cause(urgency),
                patience=PATIENCE,
                seconds=CALL_SECONDS,
                channel=self._turn.message.thread.channel,
                thread_ts=self._turn.message.thread.root_ts,
                metadata=self._metadata(number),
                unfurl_links=False,
                unfurl_media=False,
                **self._content(text, foot),
            )
            ts = _ts(answer)
        except CallError as error:
            self._unsure = error.maybe_done
            raise
        shown = Shown(number, ts, Delivery.EDITS, text, bool(foot))
        await self.note(shown)
        return shown

    async def edit(self, shown: Shown, text: str, foot: Foot, urgency: Urgency) -> None:
        """Make a message that is not a live stream say `text`, over `foot` and nothing else."""
        try:
            await self._update(shown, text, foot, urgency)
        except CallError as error:
            if error.code != "streaming_state_conflict":
                raise
            await self.stop(shown)
            await self._update(shown, text, foot, urgency)
        shown.sent, shown.foot = text, bool(foot)
        if not shown.noted_closed:
            await self.note(shown)

    async def delete(self, shown: Shown) -> None:
        """Take a message away, if Slack lets the bot; fine when it has gone already."""
        try:
            await self._client.calls(
                self._client.web.chat_delete,
                channel=self._turn.message.thread.channel,
                ts=shown.ts,
            )
        except CallError as error:
            if error.passing:
                raise
            if error.code != _GONE:
                log.warning("a message that is not needed any more stays: %s", error)

    async def missed(self) -> Sequence[str]:
        """The `ts` of each message of this reply that Slack has and nobody noted, oldest first.

        A stream has no metadata before it is stopped. So of the bot's messages without any, those
        are this reply's that let themselves be stopped as a stream: no other turn has one in the
        thread now, and what the bot posted there for somebody's question is none.
        """
        asked = self._turn.message
        # A press has no message: its time is the bot's own, which may be ahead of Slack's.
        since = asked.thread.root_ts if asked.trigger is Trigger.MENU else asked.ts
        found: list[str] = []
        async for message in self._client.replies(asked.thread, oldest=since):
            ts = message.get("ts")
            if not isinstance(ts, str) or ts in self._known or order(ts) <= order(since):
                continue
            if message.get("bot_id") != self._us.bot:
                continue
            metadata = message.get("metadata")
            if self._is_ours(metadata) or (not metadata and await self._stopped(ts)):
                found.append(ts)
        return sorted(found, key=order)

    async def note(self, shown: Shown) -> None:
        """Keep where a message stands; a restart then takes it over."""
        self._known.add(shown.ts)
        part = Part(
            number=shown.number, ts=shown.ts, delivery=shown.delivery, closed=not shown.live
        )
        try:
            await self._note_part(self._turn, part)
        except BotError as error:
            log.warning("a part of the reply could not be noted: %s", error)
        else:
            shown.noted_closed = part.closed

    async def _update(self, shown: Shown, text: str, foot: Foot, urgency: Urgency) -> None:
        await self._client.calls(
            self._client.web.chat_update,
            self._cause(urgency),
            patience=PATIENCE,
            seconds=CALL_SECONDS,
            channel=self._turn.message.thread.channel,
            ts=shown.ts,
            metadata=self._metadata(shown.number),
            **self._content(text, foot),
        )

    def _content(self, text: str, foot: Foot) -> dict[str, object]:
        """The arguments that say `text` over `foot`. Slack takes Markdown beside no other blocks,
        but as one of them; then the plain text is for notifications, and may be cut short."""
        if self.plain:
            return {"text": escaped(text), "parse": "none"}
        if not foot:
            return {"markdown_text": text}
        written = {"type": "markdown", "text": text}
        return {
            "blocks": [written, *foot],
            "text": clipped(text, FALLBACK_CHARS),
            "parse": "none",
            "link_names": False,
        }

    def _is_ours(self, metadata: object) -> bool:
        if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
            return False
        payload = metadata.get("event_payload")
        return isinstance(payload, dict) and payload.get("turn") == self._turn.id

    async def _stopped(self, ts: str) -> bool:
        """Whether a message was a live stream, which it is not any more: it was ended just now, or
        by somebody who pressed Stop while the bot was away. Which part it is is not known yet, so
        that nothing is noted: it would take another part's place."""
        try:
            await self._end_stream(Shown(0, ts, Delivery.STREAM, None, live=True))
        except CallError as error:
            if error.passing:
                raise
            return error.code == _BY_A_PERSON
        return True

    def _cause(self, urgency: Urgency) -> Cause:
        return Cause(urgency=urgency, thread=self._thread)

    def _metadata(self, number: int) -> dict[str, object]:
        payload = {"turn": self._turn.id, "part": number}
        return {"event_type": EVENT_TYPE, "event_payload": payload}


def _chunks(text: str) -> list[dict[str, object]]:
    # Always chunks: Slack takes either these or markdown_text over a stream's life, not both.
    return [{"type": "markdown_text", "text": text}]


def _ts(answer: Mapping[str, object]) -> str:
    ts = answer.get("ts")
    if not isinstance(ts, str):
        raise CallError("not_json", "the answer names no message", maybe_done=True)
    return ts
