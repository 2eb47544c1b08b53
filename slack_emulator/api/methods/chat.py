"""Implements chat.*: posting, updating and deleting messages, and ephemeral messages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method, channel_of, message_of
from slack_emulator.backend import SlackBackend
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import (
    BOT_USER_ID,
    ApiError,
    Ephemeral,
    Json,
    Message,
    StreamState,
)
from slack_emulator.state.serializers import message_json
from slack_emulator.state.text import encode_typed_text

MAX_TEXT: Final = 40_000
"""Maximum characters of a message. Longer texts are cut (docs.slack.dev, changelog 2018: truncating
really long messages)."""
MAX_UPDATE_TEXT: Final = 4_000
"""Maximum characters of an updated text. Longer texts are refused (docs.slack.dev: chat.update)."""
MAX_MARKDOWN: Final = 12_000
MAX_ATTACHMENTS: Final = 100
MAX_METADATA: Final = 8_000
TRUNCATED: Final = "message_truncated"


@dataclass(frozen=True, slots=True)
class MessageContent:
    """The content of a message to post."""

    text: str
    blocks: tuple[Json, ...] | None
    attachments: tuple[Json, ...] | None
    metadata: Json | None
    warnings: tuple[str, ...] = ()


def parse_content(slack: SlackBackend, request: ApiRequest) -> MessageContent:
    """The content of a call. Raises ApiError by Slack's limits, or `no_text` if there is no
    content."""
    arguments = request.arguments
    text, markdown = arguments.text("text"), arguments.text("markdown_text")
    blocks = arguments.json_objects("blocks", "invalid_blocks")
    attachments = arguments.json_objects("attachments", "invalid_attachments")
    if attachments and len(attachments) > MAX_ATTACHMENTS:
        raise ApiError("too_many_attachments")
    if markdown:
        if text or blocks:
            raise ApiError("markdown_text_conflict")
        if len(markdown) > MAX_MARKDOWN:
            raise ApiError("msg_too_long")
        text, blocks = markdown, [{"type": "markdown", "text": markdown}]
    if not (text or blocks or attachments):
        raise ApiError("no_text")
    if not request.user.is_bot:
        text = encode_typed_text(text, slack.workspace.user_ids_by_name())
    warnings: tuple[str, ...] = ()
    if len(text) > MAX_TEXT:
        text, warnings = text[:MAX_TEXT], (TRUNCATED,)
    return MessageContent(
        text,
        None if blocks is None else block_kit.validate_blocks(blocks),
        None if attachments is None else tuple(attachments),
        parse_metadata(request),
        warnings,
    )


def parse_metadata(request: ApiRequest) -> Json | None:
    """Metadata with a type and an object, or None. Raises ApiError (`invalid_metadata_format`)."""
    metadata = request.arguments.json_object("metadata", "invalid_metadata_format")
    if not metadata:
        return None
    kind, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        raise ApiError("invalid_metadata_format")
    if len(str(payload)) > MAX_METADATA:
        raise ApiError("metadata_too_large")
    return {"event_type": kind, "event_payload": payload}


def thread_root_of(slack: SlackBackend, request: ApiRequest, channel_id: str) -> Message | None:
    """The root of the thread to post in, or None."""
    if (thread_ts := request.arguments.ts("thread_ts")) is None:
        return None
    return slack.workspace.thread_root(channel_id, thread_ts)


async def post_message(slack: SlackBackend, request: ApiRequest) -> Json:
    """Post a message, in a channel or in a thread."""
    content = parse_content(slack, request)
    channel = channel_of(slack, request)
    root = thread_root_of(slack, request, channel.id)
    broadcast = root is not None and request.arguments.flag("reply_broadcast")
    message = slack.workspace.post_message(
        Message(
            channel=channel.id,
            ts=slack.workspace.next_ts(),
            user=request.user.id,
            team=request.user.team_id,
            text=content.text,
            thread_ts=root.ts if root else None,
            parent_user=root.user if root else None,
            subtype="thread_broadcast" if broadcast else None,
            from_app=request.from_app,
            blocks=content.blocks or (),
            attachments=content.attachments or (),
            metadata=content.metadata,
            username=request.arguments.text("username") or None,
            icon_emoji=request.arguments.text("icon_emoji") or None,
            client_msg_id=None if request.user.is_bot else str(uuid.uuid4()),
        )
    )
    return _message_response(slack, message, content.warnings)


def _message_response(slack: SlackBackend, message: Message, warnings: tuple[str, ...]) -> Json:
    answer: Json = {
        "channel": message.channel,
        "ts": message.ts,
        "message": message_json(slack.workspace, message, metadata=True),
    }
    if warnings:
        answer["warning"] = ",".join(warnings)
        answer["response_metadata"] = {"warnings": list(warnings)}
    return answer


async def update(slack: SlackBackend, request: ApiRequest) -> Json:
    """Update the caller's own message. A new text without blocks removes the old blocks."""
    content = parse_content(slack, request)
    if len(content.text) > MAX_UPDATE_TEXT and not request.arguments.has_value("markdown_text"):
        raise ApiError("msg_too_long")
    message = message_of(slack, request)
    if message.user != request.user.id or message.subtype == "tombstone":
        raise ApiError("cant_update_message")
    if slack.streams.is_live(message):
        raise ApiError("streaming_state_conflict")
    blocks = content.blocks
    if blocks is None:
        blocks = () if request.arguments.has_value("text") else message.blocks
    changed = replace(
        message,
        text=content.text if content.text or content.blocks is None else message.text,
        blocks=blocks,
        attachments=message.attachments if content.attachments is None else content.attachments,
        metadata=content.metadata if request.arguments.is_given("metadata") else message.metadata,
        edited_by=request.user.id,
        edited_ts=slack.workspace.next_ts(),
        stream_state=StreamState.STOPPED if message.stream_state else None,
    )
    slack.workspace.update_message(changed)
    return _message_response(slack, changed, content.warnings) | {"text": changed.text}


async def delete(slack: SlackBackend, request: ApiRequest) -> Json:
    """Delete the caller's own message; an admin may delete any message."""
    message = message_of(slack, request)
    if message.subtype == "tombstone":
        raise ApiError("message_not_found")
    if message.user != request.user.id and not request.user.is_admin:
        raise ApiError("cant_delete_message")
    slack.workspace.delete_message(message)
    return {"channel": message.channel, "ts": message.ts}


async def post_ephemeral(slack: SlackBackend, request: ApiRequest) -> Json:
    """Show a message in a channel to one user only."""
    content = parse_content(slack, request)
    channel = channel_of(slack, request)
    user = request.arguments.required_text("user")
    if user not in slack.workspace.users or user == BOT_USER_ID:
        raise ApiError("user_not_found")
    if user not in channel.members:
        raise ApiError("user_not_in_channel")
    root = thread_root_of(slack, request, channel.id)
    shown = Ephemeral(
        channel=channel.id,
        ts=slack.workspace.next_ts(),
        user=user,
        text=content.text,
        thread_ts=root.ts if root else None,
        blocks=content.blocks or (),
    )
    slack.workspace.post_ephemeral(shown)
    return {"message_ts": shown.ts}


async def get_permalink(slack: SlackBackend, request: ApiRequest) -> Json:
    """The permalink of a message."""
    message = message_of(slack, request, "message_ts")
    link = f"{slack.workspace.url}/archives/{message.channel}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={message.channel}"
    return {"channel": message.channel, "permalink": link}


METHODS: Final[dict[str, Method]] = {
    "chat.delete": delete,
    "chat.getPermalink": get_permalink,
    "chat.postEphemeral": post_ephemeral,
    "chat.postMessage": post_message,
    "chat.update": update,
}
