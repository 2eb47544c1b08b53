"""chat.startStream, chat.appendStream, chat.stopStream."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.agents import STATUSES, set_session
from slack_emulator.api.methods.chat import read_metadata, thread_of
from slack_emulator.api.methods.request import Asked, Method, channel_of
from slack_emulator.backend import Slack
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import Json, Message, Refused
from slack_emulator.state.serializers import message_json
from slack_emulator.state.streams import Addition, read_addition

_MODES: Final = ("timeline", "plan", "dense")


def _addition(asked: Asked) -> Addition:
    return read_addition(
        asked.arguments.text("markdown_text"), asked.arguments.objects("chunks", "invalid_chunks")
    )


async def start(slack: Slack, asked: Asked) -> Json:
    """Begin a stream: in a thread, and in channels for one named person."""
    arguments = asked.arguments
    channel = channel_of(slack, asked)
    if not arguments.has("thread_ts"):
        raise Refused("invalid_thread_ts")
    root = thread_of(slack, asked, channel.id)
    if root is None:
        raise Refused("thread_not_found")
    if not channel.is_im:
        _check_recipient(slack, asked)
    mode = arguments.text("task_display_mode") or "timeline"
    if mode not in _MODES:
        raise Refused("invalid_arguments")
    message = slack.streams.start(
        Message(
            channel=channel.id,
            ts=slack.workspace.next_ts(),
            user=asked.user.id,
            text="",
            thread_ts=root.ts,
            parent_user=root.user,
            from_app=True,
            task_display_mode=mode,
            username=arguments.text("username") or None,
            icon_emoji=arguments.text("icon_emoji") or None,
        ),
        _addition(asked),
    )
    return {"channel": channel.id, "ts": message.ts}


def _check_recipient(slack: Slack, asked: Asked) -> None:
    user_id = asked.arguments.text("recipient_user_id")
    team_id = asked.arguments.text("recipient_team_id")
    if not user_id:
        raise Refused("missing_recipient_user_id")
    if not team_id:
        raise Refused("missing_recipient_team_id")
    user = slack.workspace.user(user_id)
    if user.team_id != team_id:
        raise Refused("team_not_found")


def _streamed(slack: Slack, asked: Asked) -> Message:
    channel = channel_of(slack, asked)
    message = slack.workspace.message(channel.id, asked.arguments.required("ts"))
    if message.user != asked.user.id:
        raise Refused("message_not_owned_by_app")
    return message


async def append(slack: Slack, asked: Asked) -> Json:
    """Let a stream grow."""
    message = _streamed(slack, asked)
    addition = _addition(asked)
    if addition.by_chunks is None:
        raise Refused("markdown_text_or_chunks_required")
    slack.streams.append(message, addition)
    return {"channel": message.channel, "ts": message.ts}


async def stop(slack: Slack, asked: Asked) -> Json:
    """End a stream, with last words, blocks, metadata and the session's status."""
    message = _streamed(slack, asked)
    status = asked.arguments.text("session_status")
    if status and status not in STATUSES:
        raise Refused("invalid_status")
    blocks = block_kit.checked(asked.arguments.objects("blocks", "invalid_blocks") or [])
    stopped = slack.streams.stop(message, _addition(asked), blocks, read_metadata(asked))
    thread = slack.workspace.status(message.channel, message.root)
    if slack.settings.agent_sessions and thread.session is not None:
        set_session(slack, message.channel, message.root, status or "active", None)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "message": message_json(slack.workspace, stopped, metadata=True),
    }


METHODS: Final[dict[str, Method]] = {
    "chat.appendStream": append,
    "chat.startStream": start,
    "chat.stopStream": stop,
}
