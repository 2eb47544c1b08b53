"""Finds messages that the bot has posted, so that none is posted twice."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping

from bot.domain.messages import Message, Trigger
from bot.slack.api.client import PageItem


async def find_post(
    messages: AsyncIterable[PageItem],
    event_type: str,
    payload: Mapping[str, object],
    *,
    bot_id: str = "",
) -> str:
    """The `ts` of the first message with this metadata, or an empty string.

    With `bot_id` only messages of that bot count. Raises `SlackCallError` if the messages cannot be
    read.
    """
    async for message in messages:
        if bot_id and message.get("bot_id") != bot_id:
            continue
        if has_metadata(message, event_type, payload):
            return str(message["ts"])
    return ""


def has_metadata(message: PageItem, event_type: str, payload: Mapping[str, object]) -> bool:
    """True if a message carries metadata of this type with at least this payload."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != event_type:
        return False
    found = metadata.get("event_payload")
    return isinstance(found, dict) and payload.items() <= found.items()


def search_start(question: Message) -> str:
    """The `ts` after which the posts for a question are found.

    A button has no message. The turn's time is the bot's own, which may be ahead of Slack's, so
    the search begins at the root of the thread.
    """
    if question.trigger is Trigger.REPLY_ACTION:
        return question.thread.root_ts
    return question.ts
