"""chat.*: writing, changing and deleting messages, and those that one person sees."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Final

from slack_emulator.api.methods.request import Asked, Method, channel_of, message_of
from slack_emulator.backend import Slack
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import (
    BOT_USER_ID,
    Ephemeral,
    Json,
    Message,
    Refused,
    StreamState,
)
from slack_emulator.state.serializers import message_json
from slack_emulator.state.text import as_typed

MAX_TEXT: Final = 40_000
"""Longer texts are cut (docs.slack.dev, changelog 2018: truncating really long messages)."""
MAX_UPDATE_TEXT: Final = 4_000
"""Longer texts are refused (docs.slack.dev: chat.update)."""
MAX_MARKDOWN: Final = 12_000
MAX_ATTACHMENTS: Final = 100
MAX_METADATA: Final = 8_000
TRUNCATED: Final = "message_truncated"


@dataclass(frozen=True, slots=True)
class Content:
    """What a message is to say."""

    text: str
    blocks: tuple[Json, ...] | None
    attachments: tuple[Json, ...] | None
    metadata: Json | None
    warnings: tuple[str, ...] = ()


def read_content(slack: Slack, asked: Asked) -> Content:
    """The content of a call. Refused by Slack's limits; `no_text` where there is none."""
    arguments = asked.arguments
    text, markdown = arguments.text("text"), arguments.text("markdown_text")
    blocks = arguments.objects("blocks", "invalid_blocks")
    attachments = arguments.objects("attachments", "invalid_attachments")
    if attachments and len(attachments) > MAX_ATTACHMENTS:
        raise Refused("too_many_attachments")
    if markdown:
        if text or blocks:
            raise Refused("markdown_text_conflict")
        if len(markdown) > MAX_MARKDOWN:
            raise Refused("msg_too_long")
        text, blocks = markdown, [{"type": "markdown", "text": markdown}]
    if not (text or blocks or attachments):
        raise Refused("no_text")
    if not asked.user.is_bot:
        text = as_typed(text, slack.workspace.user_ids())
    warnings: tuple[str, ...] = ()
    if len(text) > MAX_TEXT:
        text, warnings = text[:MAX_TEXT], (TRUNCATED,)
    return Content(
        text,
        None if blocks is None else block_kit.checked(blocks),
        None if attachments is None else tuple(attachments),
        read_metadata(asked),
        warnings,
    )


def read_metadata(asked: Asked) -> Json | None:
    """Metadata has a type and an object. Refused with `invalid_metadata_format`."""
    metadata = asked.arguments.object("metadata", "invalid_metadata_format")
    if not metadata:
        return None
    kind, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        raise Refused("invalid_metadata_format")
    if len(str(payload)) > MAX_METADATA:
        raise Refused("metadata_too_large")
    return {"event_type": kind, "event_payload": payload}


def thread_of(slack: Slack, asked: Asked, channel_id: str) -> Message | None:
    """The root of the thread that is to be written in, or None."""
    if (thread_ts := asked.arguments.ts("thread_ts")) is None:
        return None
    return slack.workspace.thread_root(channel_id, thread_ts)


async def post_message(slack: Slack, asked: Asked) -> Json:
    """Write a message, in a channel or in a thread."""
    content = read_content(slack, asked)
    channel = channel_of(slack, asked)
    root = thread_of(slack, asked, channel.id)
    broadcast = root is not None and asked.arguments.flag("reply_broadcast")
    message = slack.workspace.post(
        Message(
            channel=channel.id,
            ts=slack.workspace.next_ts(),
            user=asked.user.id,
            team=asked.user.team_id,
            text=content.text,
            thread_ts=root.ts if root else None,
            parent_user=root.user if root else None,
            subtype="thread_broadcast" if broadcast else None,
            from_app=asked.by_app,
            blocks=content.blocks or (),
            attachments=content.attachments or (),
            metadata=content.metadata,
            username=asked.arguments.text("username") or None,
            icon_emoji=asked.arguments.text("icon_emoji") or None,
            client_msg_id=None if asked.user.is_bot else str(uuid.uuid4()),
        )
    )
    return _told(slack, message, content.warnings)


def _told(slack: Slack, message: Message, warnings: tuple[str, ...]) -> Json:
    answer: Json = {
        "channel": message.channel,
        "ts": message.ts,
        "message": message_json(slack.workspace, message, metadata=True),
    }
    if warnings:
        answer["warning"] = ",".join(warnings)
        answer["response_metadata"] = {"warnings": list(warnings)}
    return answer


async def update(slack: Slack, asked: Asked) -> Json:
    """Change one's own message; without blocks, a new text takes the old blocks away."""
    content = read_content(slack, asked)
    if len(content.text) > MAX_UPDATE_TEXT and not asked.arguments.has("markdown_text"):
        raise Refused("msg_too_long")
    message = message_of(slack, asked)
    if message.user != asked.user.id or message.subtype == "tombstone":
        raise Refused("cant_update_message")
    if slack.streams.is_live(message):
        raise Refused("streaming_state_conflict")
    blocks = content.blocks
    if blocks is None:
        blocks = () if asked.arguments.has("text") else message.blocks
    changed = replace(
        message,
        text=content.text if content.text or content.blocks is None else message.text,
        blocks=blocks,
        attachments=message.attachments if content.attachments is None else content.attachments,
        metadata=content.metadata if asked.arguments.gives("metadata") else message.metadata,
        edited_by=asked.user.id,
        edited_ts=slack.workspace.next_ts(),
        stream_state=StreamState.STOPPED if message.stream_state else None,
    )
    slack.workspace.change(changed)
    return _told(slack, changed, content.warnings) | {"text": changed.text}


async def delete(slack: Slack, asked: Asked) -> Json:
    """Delete one's own message; an admin may delete anybody's."""
    message = message_of(slack, asked)
    if message.subtype == "tombstone":
        raise Refused("message_not_found")
    if message.user != asked.user.id and not asked.user.is_admin:
        raise Refused("cant_delete_message")
    slack.workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


async def post_ephemeral(slack: Slack, asked: Asked) -> Json:
    """Show something to one person in a channel."""
    content = read_content(slack, asked)
    channel = channel_of(slack, asked)
    user = asked.arguments.required("user")
    if user not in slack.workspace.users or user == BOT_USER_ID:
        raise Refused("user_not_found")
    if user not in channel.members:
        raise Refused("user_not_in_channel")
    root = thread_of(slack, asked, channel.id)
    shown = Ephemeral(
        channel=channel.id,
        ts=slack.workspace.next_ts(),
        user=user,
        text=content.text,
        thread_ts=root.ts if root else None,
        blocks=content.blocks or (),
    )
    slack.workspace.whisper(shown)
    return {"message_ts": shown.ts}


async def permalink(slack: Slack, asked: Asked) -> Json:
    """The address of a message."""
    message = message_of(slack, asked, "message_ts")
    link = f"{slack.workspace.url}/archives/{message.channel}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={message.channel}"
    return {"channel": message.channel, "permalink": link}


METHODS: Final[dict[str, Method]] = {
    "chat.delete": delete,
    "chat.getPermalink": permalink,
    "chat.postEphemeral": post_ephemeral,
    "chat.postMessage": post_message,
    "chat.update": update,
}
