"""Implements agents.sessions.* and assistant.threads.*: the status of an agent under a thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method, channel_of
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import ApiError, Channel, Json, SuggestedPrompts
from slack_emulator.state.workspace import STATUS_SECONDS

SESSION_STATUSES: Final = ("active", "processing", "suspended", "closed")
MAX_TITLE: Final = 200
MAX_LOADING_MESSAGES: Final = 10
MAX_PROMPTS: Final = 4
STOP_EVENT: Final = "agent_session_stopped"
MISSING_STOP_EVENT: Final = "missing_agent_session_stopped_event_subscription"


def set_session(
    slack: SlackBackend, channel_id: str, thread_ts: str, status: str, title: str | None
) -> None:
    """Set the status of a session, and its title if one is given."""
    now = slack.workspace.thread_status(channel_id, thread_ts)
    after = replace(now, session_status=status)
    if title is not None:
        after = replace(after, title=title)
    slack.workspace.set_thread_status(after)


def _session_thread(slack: SlackBackend, request: ApiRequest) -> tuple[Channel, str]:
    if not slack.app_config.agent_sessions:
        raise ApiError("feature_disabled")
    channel = channel_of(slack, request, "channel_id")
    if not request.arguments.has_value("thread_ts"):
        raise ApiError("thread_ts_required")
    return channel, request.arguments.required_text("thread_ts")


async def set_session_status(slack: SlackBackend, request: ApiRequest) -> Json:
    """Set the session's own status; `processing` shows the Stop button."""
    status = request.arguments.required_text("status")
    channel, thread_ts = _session_thread(slack, request)
    if status not in SESSION_STATUSES:
        raise ApiError("invalid_status")
    if initiator := request.arguments.text("initiator_user_id"):
        slack.workspace.user(initiator)
    title = request.arguments.text("title")
    if len(title) > MAX_TITLE:
        raise ApiError("invalid_title")
    known = slack.workspace.thread_status(channel.id, thread_ts).session_status is not None
    set_session(slack, channel.id, thread_ts, status, None if known or not title else title)
    if slack.app_config.is_subscribed(STOP_EVENT):
        return {}
    return {"warning": MISSING_STOP_EVENT, "response_metadata": {"warnings": [MISSING_STOP_EVENT]}}


async def rename_session(slack: SlackBackend, request: ApiRequest) -> Json:
    """Set the session's title."""
    title = request.arguments.required_text("title")
    channel, thread_ts = _session_thread(slack, request)
    if len(title) > MAX_TITLE:
        raise ApiError("invalid_title")
    status = slack.workspace.thread_status(channel.id, thread_ts).session_status
    set_session(slack, channel.id, thread_ts, status or "active", title)
    return {}


async def set_assistant_status(slack: SlackBackend, request: ApiRequest) -> Json:
    """assistant.threads.setStatus: free text, shown for two minutes or until the next message."""
    channel = channel_of(slack, request, "channel_id")
    thread_ts = request.arguments.required_text("thread_ts")
    loading = request.arguments.json_value("loading_messages") or []
    if not isinstance(loading, list) or not all(isinstance(one, str) for one in loading):
        raise ApiError("invalid_arguments")
    if len(loading) > MAX_LOADING_MESSAGES:
        raise ApiError("invalid_arguments")
    text = request.arguments.text("status")
    slack.workspace.set_thread_status(
        replace(
            slack.workspace.thread_status(channel.id, thread_ts),
            status=text,
            loading_messages=tuple(loading) if text else (),
            expires_at=slack.clock.now() + STATUS_SECONDS if text else None,
        )
    )
    if text:
        workspace = slack.workspace
        slack.timers.call_later(
            STATUS_SECONDS, lambda: workspace.notify_if_status_expired(channel.id, thread_ts)
        )
    return {}


async def set_assistant_title(slack: SlackBackend, request: ApiRequest) -> Json:
    """assistant.threads.setTitle."""
    channel = channel_of(slack, request, "channel_id")
    thread_ts, title = (
        request.arguments.required_text("thread_ts"),
        request.arguments.required_text("title"),
    )
    now = slack.workspace.thread_status(channel.id, thread_ts)
    slack.workspace.set_thread_status(replace(now, title=title))
    return {}


async def set_suggested_prompts(slack: SlackBackend, request: ApiRequest) -> Json:
    """assistant.threads.setSuggestedPrompts: at most four prompts."""
    channel = channel_of(slack, request, "channel_id")
    prompts = request.arguments.json_objects("prompts", "invalid_arguments") or []
    valid = all(
        isinstance(p.get("title"), str) and isinstance(p.get("message"), str) for p in prompts
    )
    if not 1 <= len(prompts) <= MAX_PROMPTS or not valid:
        raise ApiError("invalid_arguments")
    slack.workspace.set_prompts(
        SuggestedPrompts(
            channel=channel.id,
            thread_ts=request.arguments.ts("thread_ts"),
            title=request.arguments.text("title"),
            prompts=tuple(prompts),
        )
    )
    return {}


METHODS: Final[dict[str, Method]] = {
    "agents.sessions.rename": rename_session,
    "agents.sessions.setStatus": set_session_status,
    "assistant.threads.setStatus": set_assistant_status,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
    "assistant.threads.setTitle": set_assistant_title,
}
