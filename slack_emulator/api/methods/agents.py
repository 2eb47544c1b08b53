"""agents.sessions.* and assistant.threads.*: what stands under a thread while the agent works."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slack_emulator.api.methods.request import Asked, Method, channel_of
from slack_emulator.backend import Slack
from slack_emulator.state.entities import Channel, Json, Prompts, Refused
from slack_emulator.state.workspace import STATUS_SECONDS

STATUSES: Final = ("active", "processing", "suspended", "closed")
MAX_TITLE: Final = 200
MAX_LOADING: Final = 10
MAX_PROMPTS: Final = 4
STOP_EVENT: Final = "agent_session_stopped"
NO_STOP_EVENT: Final = "missing_agent_session_stopped_event_subscription"


def set_session(
    slack: Slack, channel_id: str, thread_ts: str, status: str, title: str | None
) -> None:
    """Change a session's status, and its title if one is given."""
    now = slack.workspace.status(channel_id, thread_ts)
    after = replace(now, session=status)
    if title is not None:
        after = replace(after, title=title)
    slack.workspace.set_status(after)


def _session_place(slack: Slack, asked: Asked) -> tuple[Channel, str]:
    if not slack.settings.agent_sessions:
        raise Refused("feature_disabled")
    channel = channel_of(slack, asked, "channel_id")
    if not asked.arguments.has("thread_ts"):
        raise Refused("thread_ts_required")
    return channel, asked.arguments.required("thread_ts")


async def set_status(slack: Slack, asked: Asked) -> Json:
    """The session's own status; `processing` shows the Stop button."""
    status = asked.arguments.required("status")
    channel, thread_ts = _session_place(slack, asked)
    if status not in STATUSES:
        raise Refused("invalid_status")
    if initiator := asked.arguments.text("initiator_user_id"):
        slack.workspace.user(initiator)
    title = asked.arguments.text("title")
    if len(title) > MAX_TITLE:
        raise Refused("invalid_title")
    known = slack.workspace.status(channel.id, thread_ts).session is not None
    set_session(slack, channel.id, thread_ts, status, None if known or not title else title)
    if slack.settings.subscribed(STOP_EVENT):
        return {}
    return {"warning": NO_STOP_EVENT, "response_metadata": {"warnings": [NO_STOP_EVENT]}}


async def rename(slack: Slack, asked: Asked) -> Json:
    """The session's title."""
    title = asked.arguments.required("title")
    channel, thread_ts = _session_place(slack, asked)
    if len(title) > MAX_TITLE:
        raise Refused("invalid_title")
    status = slack.workspace.status(channel.id, thread_ts).session
    set_session(slack, channel.id, thread_ts, status or "active", title)
    return {}


async def set_line(slack: Slack, asked: Asked) -> Json:
    """assistant.threads.setStatus: free text for two minutes, or until the next message."""
    channel = channel_of(slack, asked, "channel_id")
    thread_ts = asked.arguments.required("thread_ts")
    loading = asked.arguments.structure("loading_messages") or []
    if not isinstance(loading, list) or not all(isinstance(one, str) for one in loading):
        raise Refused("invalid_arguments")
    if len(loading) > MAX_LOADING:
        raise Refused("invalid_arguments")
    text = asked.arguments.text("status")
    slack.workspace.set_status(
        replace(
            slack.workspace.status(channel.id, thread_ts),
            status=text,
            loading_messages=tuple(loading) if text else (),
            until=slack.clock.now() + STATUS_SECONDS if text else None,
        )
    )
    if text:
        workspace = slack.workspace
        slack.later.after(STATUS_SECONDS, lambda: workspace.tell_if_gone(channel.id, thread_ts))
    return {}


async def set_title(slack: Slack, asked: Asked) -> Json:
    """assistant.threads.setTitle."""
    channel = channel_of(slack, asked, "channel_id")
    thread_ts, title = asked.arguments.required("thread_ts"), asked.arguments.required("title")
    now = slack.workspace.status(channel.id, thread_ts)
    slack.workspace.set_status(replace(now, title=title))
    return {}


async def suggest(slack: Slack, asked: Asked) -> Json:
    """assistant.threads.setSuggestedPrompts: up to four."""
    channel = channel_of(slack, asked, "channel_id")
    prompts = asked.arguments.objects("prompts", "invalid_arguments") or []
    sound = all(
        isinstance(p.get("title"), str) and isinstance(p.get("message"), str) for p in prompts
    )
    if not 1 <= len(prompts) <= MAX_PROMPTS or not sound:
        raise Refused("invalid_arguments")
    slack.workspace.suggest(
        Prompts(
            channel=channel.id,
            thread_ts=asked.arguments.ts("thread_ts"),
            title=asked.arguments.text("title"),
            prompts=tuple(prompts),
        )
    )
    return {}


METHODS: Final[dict[str, Method]] = {
    "agents.sessions.rename": rename,
    "agents.sessions.setStatus": set_status,
    "assistant.threads.setStatus": set_line,
    "assistant.threads.setSuggestedPrompts": suggest,
    "assistant.threads.setTitle": set_title,
}
