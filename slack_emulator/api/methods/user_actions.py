"""What people do with their hands in Slack's client, where Slack has no public method for it."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from slack_emulator.api.arguments import invalid
from slack_emulator.api.methods.request import Asked, Method, channel_of, message_of
from slack_emulator.backend import Slack
from slack_emulator.interactions import actions
from slack_emulator.state.changes import HomeOpened
from slack_emulator.state.entities import BOT_USER_ID, Channel, Json, Refused

FIRST_HOME_SECONDS: Final = 3.0
HOME_SECONDS: Final = 0.5
TABS: Final = ("home", "messages")
_COMMAND: Final = re.compile(r"/[a-z0-9_-]{1,31}")


async def command(slack: Slack, asked: Asked) -> Json:
    """Type a slash command; Slack takes none in threads."""
    name, text = asked.arguments.required("command"), asked.arguments.text("text")
    if asked.arguments.has("thread_ts"):
        raise Refused("command_not_supported_in_threads")
    channel = channel_of(slack, asked)
    known = {str(one["command"]) for one in slack.settings.commands}
    if not _COMMAND.fullmatch(name) or (known and name not in known):
        raise Refused("invalid_command")
    return await actions.command(slack, asked.user, channel, name, text)


async def press(slack: Slack, asked: Asked) -> Json:
    """Use a button or another element, of a message or of a view."""
    arguments = asked.arguments
    wanted: Json = {
        "action_id": arguments.required("action_id"),
        "block_id": arguments.text("block_id"),
        "value": arguments.values.get("value"),
    }
    if arguments.has("view_id"):
        view = slack.views.find(arguments.text("view_id"), asked.user.id)
        return await actions.press(slack, asked.user, view, wanted)
    channel = channel_of(slack, asked)
    ts = arguments.required("message_ts")
    seen = slack.workspace.whispered(asked.user.id, channel.id, ts)
    message = seen or slack.workspace.message(channel.id, ts)
    return await actions.press(slack, asked.user, message, wanted)


async def submit(slack: Slack, asked: Asked) -> Json:
    """Send a modal's form, or close the modal with `close`."""
    view = slack.views.top(asked.arguments.required("view_id"), asked.user.id)
    if asked.arguments.flag("close"):
        return await actions.close(slack, asked.user, view)
    state = asked.arguments.object("state", "invalid_state") or {}
    return await actions.submit(slack, asked.user, view, state)


async def shortcut(slack: Slack, asked: Asked) -> Json:
    """Run a message shortcut, or a global one where no message is named."""
    callback_id = asked.arguments.required("callback_id")
    known = {str(one["callback_id"]) for one in slack.settings.shortcuts}
    if known and callback_id not in known:
        raise Refused("invalid_callback_id")
    if not asked.arguments.has("message_ts"):
        if asked.arguments.has("channel"):
            raise invalid("message_ts", "missing required field")
        return await actions.global_shortcut(slack, asked.user, callback_id)
    message = message_of(slack, asked, "message_ts")
    return await actions.shortcut(slack, asked.user, message, callback_id)


async def stop(slack: Slack, asked: Asked) -> Json:
    """Press the Stop button, which is there while the agent works."""
    channel = channel_of(slack, asked)
    thread_ts = asked.arguments.required("thread_ts")
    status = slack.workspace.status(channel.id, thread_ts)
    live = any(
        slack.streams.is_live(message) for message in slack.workspace.replies(channel.id, thread_ts)
    )
    if status.session != "processing" and not live:
        raise Refused("session_not_processing")
    return {
        "streaming_message_ts": list(
            slack.streams.stop_by_person(channel.id, thread_ts, asked.user.id)
        )
    }


async def home_open(slack: Slack, asked: Asked) -> Json:
    """Open the app's Home tab, or its Messages tab.

    Apps publish their Home tab when it is opened: the view is the one that is there a moment later.
    """
    tab = asked.arguments.text("tab", "home")
    if tab not in TABS:
        raise Refused("invalid_arguments")
    channel = _with_app(slack, asked)
    before = slack.views.homes.get(asked.user.id)
    published = slack.views.next_home(asked.user.id)
    shown = before if tab == "home" else None
    slack.workspace.tell(HomeOpened(asked.user.id, channel.id, tab, shown))
    if tab == "home":
        patience = FIRST_HOME_SECONDS if before is None else HOME_SECONDS
        await asyncio.wait({published}, timeout=patience)
    published.cancel()
    return {"channel": channel.id, "view": slack.views.homes.get(asked.user.id)}


def _with_app(slack: Slack, asked: Asked) -> Channel:
    return slack.workspace.open_im(asked.user.id, BOT_USER_ID)[0]


METHODS: Final[dict[str, Method]] = {
    "agents.sessions.stop": stop,
    "apps.home.open": home_open,
    "blocks.actions": press,
    "chat.command": command,
    "shortcuts.run": shortcut,
    "views.submit": submit,
}
