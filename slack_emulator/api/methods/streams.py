"""Implements chat.startStream, chat.appendStream and chat.stopStream."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.agents import SESSION_STATUSES, set_session
from slack_emulator.api.methods.chat import parse_metadata, thread_root_of
from slack_emulator.api.methods.request import ApiRequest, Method, channel_of
from slack_emulator.backend import SlackBackend
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import ApiError, Json, Message
from slack_emulator.state.serializers import message_json
from slack_emulator.state.streams import Addition, parse_addition

_MODES: Final = ("timeline", "plan", "dense")


def _request_addition(request: ApiRequest) -> Addition:
    return parse_addition(
        request.arguments.text("markdown_text"),
        request.arguments.json_objects("chunks", "invalid_chunks"),
    )


async def start(slack: SlackBackend, request: ApiRequest) -> Json:
    """Start a stream in a thread; in channels, for one named user."""
    arguments = request.arguments
    channel = channel_of(slack, request)
    if not arguments.has_value("thread_ts"):
        raise ApiError("invalid_thread_ts")
    root = thread_root_of(slack, request, channel.id)
    if root is None:
        raise ApiError("thread_not_found")
    if not channel.is_im:
        _check_recipient(slack, request)
    mode = arguments.text("task_display_mode") or "timeline"
    if mode not in _MODES:
        raise ApiError("invalid_arguments")
    message = slack.streams.start(
        Message(
            channel=channel.id,
            ts=slack.workspace.next_ts(),
            user=request.user.id,
            text="",
            thread_ts=root.ts,
            parent_user=root.user,
            from_app=True,
            task_display_mode=mode,
            username=arguments.text("username") or None,
            icon_emoji=arguments.text("icon_emoji") or None,
        ),
        _request_addition(request),
    )
    return {"channel": channel.id, "ts": message.ts}


def _check_recipient(slack: SlackBackend, request: ApiRequest) -> None:
    user_id = request.arguments.text("recipient_user_id")
    team_id = request.arguments.text("recipient_team_id")
    if not user_id:
        raise ApiError("missing_recipient_user_id")
    if not team_id:
        raise ApiError("missing_recipient_team_id")
    user = slack.workspace.user(user_id)
    if user.team_id != team_id:
        raise ApiError("team_not_found")


def _stream_message(slack: SlackBackend, request: ApiRequest) -> Message:
    channel = channel_of(slack, request)
    message = slack.workspace.message(channel.id, request.arguments.required_text("ts"))
    if message.user != request.user.id:
        raise ApiError("message_not_owned_by_app")
    return message


async def append(slack: SlackBackend, request: ApiRequest) -> Json:
    """Append to a stream."""
    message = _stream_message(slack, request)
    addition = _request_addition(request)
    if addition.uses_chunks is None:
        raise ApiError("markdown_text_or_chunks_required")
    slack.streams.append(message, addition)
    return {"channel": message.channel, "ts": message.ts}


async def stop(slack: SlackBackend, request: ApiRequest) -> Json:
    """Stop a stream, with its last text, blocks, metadata and the session's status."""
    message = _stream_message(slack, request)
    status = request.arguments.text("session_status")
    if status and status not in SESSION_STATUSES:
        raise ApiError("invalid_status")
    blocks = block_kit.validate_blocks(
        request.arguments.json_objects("blocks", "invalid_blocks") or []
    )
    stopped = slack.streams.stop(
        message, _request_addition(request), blocks, parse_metadata(request)
    )
    thread = slack.workspace.thread_status(message.channel, message.root_ts)
    if slack.app_config.agent_sessions and thread.session_status is not None:
        set_session(slack, message.channel, message.root_ts, status or "active", None)
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
