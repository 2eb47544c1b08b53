"""Implements user actions in Slack's client for which Slack has no public method."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from slack_emulator.api.arguments import invalid_argument
from slack_emulator.api.methods.request import ApiRequest, Method, channel_of, message_of
from slack_emulator.backend import SlackBackend
from slack_emulator.interactions import actions
from slack_emulator.state.changes import HomeOpened
from slack_emulator.state.entities import BOT_USER_ID, ApiError, Channel, Json

FIRST_HOME_WAIT_SECONDS: Final = 3.0
HOME_WAIT_SECONDS: Final = 0.5
TABS: Final = ("home", "messages")
_COMMAND: Final = re.compile(r"/[a-z0-9_-]{1,31}")


async def run_slash_command(slack: SlackBackend, request: ApiRequest) -> Json:
    """Send a slash command; Slack accepts none in threads."""
    name, text = request.arguments.required_text("command"), request.arguments.text("text")
    if request.arguments.has_value("thread_ts"):
        raise ApiError("command_not_supported_in_threads")
    channel = channel_of(slack, request)
    known = {str(one["command"]) for one in slack.app_config.commands}
    if not _COMMAND.fullmatch(name) or (known and name not in known):
        raise ApiError("invalid_command")
    return await actions.send_slash_command(slack, request.user, channel, name, text)


async def trigger_block_action(slack: SlackBackend, request: ApiRequest) -> Json:
    """Use a button or another element of a message or of a view."""
    arguments = request.arguments
    wanted: Json = {
        "action_id": arguments.required_text("action_id"),
        "block_id": arguments.text("block_id"),
        "value": arguments.values.get("value"),
    }
    if arguments.has_value("view_id"):
        view = slack.views.find_view(arguments.text("view_id"), request.user.id)
        return await actions.send_block_action(slack, request.user, view, wanted)
    channel = channel_of(slack, request)
    ts = arguments.required_text("message_ts")
    ephemeral = slack.workspace.find_ephemeral(request.user.id, channel.id, ts)
    message = ephemeral or slack.workspace.message(channel.id, ts)
    return await actions.send_block_action(slack, request.user, message, wanted)


async def submit_view(slack: SlackBackend, request: ApiRequest) -> Json:
    """Submit a modal, or close it with `close`."""
    view = slack.views.top_modal(request.arguments.required_text("view_id"), request.user.id)
    if request.arguments.flag("close"):
        return await actions.close_view(slack, request.user, view)
    state = request.arguments.json_object("state", "invalid_state") or {}
    return await actions.submit_view(slack, request.user, view, state)


async def run_shortcut(slack: SlackBackend, request: ApiRequest) -> Json:
    """Run a message shortcut, or a global one if no message is given."""
    callback_id = request.arguments.required_text("callback_id")
    known = {str(one["callback_id"]) for one in slack.app_config.shortcuts}
    if known and callback_id not in known:
        raise ApiError("invalid_callback_id")
    if not request.arguments.has_value("message_ts"):
        if request.arguments.has_value("channel"):
            raise invalid_argument("message_ts", "missing required field")
        return await actions.send_global_shortcut(slack, request.user, callback_id)
    message = message_of(slack, request, "message_ts")
    return await actions.send_message_shortcut(slack, request.user, message, callback_id)


async def stop_session(slack: SlackBackend, request: ApiRequest) -> Json:
    """Press the Stop button, which is shown while the agent works."""
    channel = channel_of(slack, request)
    thread_ts = request.arguments.required_text("thread_ts")
    status = slack.workspace.thread_status(channel.id, thread_ts)
    live = any(
        slack.streams.is_live(message) for message in slack.workspace.replies(channel.id, thread_ts)
    )
    if status.session_status != "processing" and not live:
        raise ApiError("session_not_processing")
    return {
        "streaming_message_ts": list(
            slack.streams.stop_by_user(channel.id, thread_ts, request.user.id)
        )
    }


async def open_home(slack: SlackBackend, request: ApiRequest) -> Json:
    """Open the app's Home tab, or its Messages tab.

    Apps publish their Home tab when it is opened. The view returned is the one that is there a
    moment later.
    """
    tab = request.arguments.text("tab", "home")
    if tab not in TABS:
        raise ApiError("invalid_arguments")
    channel = _app_im(slack, request)
    before = slack.views.homes.get(request.user.id)
    published = slack.views.next_home_published(request.user.id)
    shown = before if tab == "home" else None
    slack.workspace.notify(HomeOpened(request.user.id, channel.id, tab, shown))
    if tab == "home":
        patience = FIRST_HOME_WAIT_SECONDS if before is None else HOME_WAIT_SECONDS
        await asyncio.wait({published}, timeout=patience)
    published.cancel()
    return {"channel": channel.id, "view": slack.views.homes.get(request.user.id)}


def _app_im(slack: SlackBackend, request: ApiRequest) -> Channel:
    return slack.workspace.open_im(request.user.id, BOT_USER_ID)[0]


METHODS: Final[dict[str, Method]] = {
    "agents.sessions.stop": stop_session,
    "apps.home.open": open_home,
    "blocks.actions": trigger_block_action,
    "chat.command": run_slash_command,
    "shortcuts.run": run_shortcut,
    "views.submit": submit_view,
}
