"""Converts changes of the workspace to Slack's event payloads, and sends them to the app.

The app gets events of the conversations of its bot, if it is subscribed to them. A mention in a
channel comes twice, as `app_mention` and as `message`, with one ts and two event ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from slack_emulator.app_config import AppConfig
from slack_emulator.state.changes import (
    Change,
    HomeOpened,
    MembershipChanged,
    MessageChanged,
    MessageDeleted,
    MessagePosted,
    ReactionChanged,
    StatusSet,
    StopRequested,
    StreamUpdated,
)
from slack_emulator.state.entities import (
    APP_ID,
    BOT_USER_ID,
    TEAM_ID,
    VERIFICATION_TOKEN,
    Channel,
    Json,
    Message,
    ThreadStatus,
)
from slack_emulator.state.serializers import is_shared, message_json
from slack_emulator.state.text import has_mention
from slack_emulator.state.workspace import Workspace

MESSAGE_EVENTS: Final = {
    "channel": "message.channels",
    "group": "message.groups",
    "im": "message.im",
}


class Events:
    """The workspace listener that sends events to the app."""

    def __init__(
        self,
        workspace: Workspace,
        app_config: Callable[[], AppConfig],
        deliver: Callable[[Json], None],
    ) -> None:
        self._workspace = workspace
        self._app_config = app_config
        self._deliver = deliver
        self._event_numbers = itertools.count(1)
        workspace.add_listener(self.on_change)

    def on_change(self, change: Change) -> None:
        """Send the events of this change that the app may receive."""
        match change:
            case MessagePosted(message):
                self._send_posted(message)
            case MessageChanged(before, after, silent=False):
                self._send_changed(before, after)
            case StreamUpdated(before, after, _):
                self._send_changed(before, after)
            case MessageDeleted():
                self._send_deleted(change)
            case ReactionChanged():
                self._send_reaction(change)
            case StatusSet(status, str(previous)):
                self._send_title_changed(status, previous)
            case StopRequested(channel, thread_ts, user, streams):
                stopped: Json = {"channel": channel, "user": user, "thread_ts": thread_ts}
                stopped["streaming_message_ts"] = list(streams)
                self._send("agent_session_stopped", stopped, channel)
            case HomeOpened(user, channel, tab, view):
                opened: Json = {"user": user, "channel": channel, "tab": tab}
                if view is not None:
                    opened["view"] = view
                self._send("app_home_opened", opened, channel)
            case MembershipChanged(channel, user, joined, inviter):
                self._send_membership(channel, user, joined=joined, inviter=inviter)
            case _:
                pass

    def _send_posted(self, message: Message) -> None:
        channel = self._workspace.channels[message.channel]
        event = self._message_event(message, channel)
        mentioned = has_mention(message.text, BOT_USER_ID) and not message.from_app
        if mentioned and not channel.is_im:
            mention = {k: v for k, v in event.items() if k not in ("channel_type", "subtype")}
            self._send("app_mention", mention, channel.id)
        self._send("message", event, channel.id)

    def _message_event(self, message: Message, channel: Channel) -> Json:
        event = message_json(self._workspace, message, metadata=True)
        for counted in ("reply_count", "reply_users", "reply_users_count", "latest_reply"):
            event.pop(counted, None)
        event |= {
            "channel": channel.id,
            "channel_type": channel.type,
            "event_ts": message.ts,
        }
        author = self._workspace.users.get(message.user)
        if author is not None and author.is_stranger:
            event |= {"user_team": author.team_id, "source_team": author.team_id}
        root = self._workspace.find_message(channel.id, message.root_ts)
        if message.subtype == "thread_broadcast" and root is not None:
            event["root"] = message_json(self._workspace, root)
        return event

    def _send_changed(self, before: Message, after: Message) -> None:
        self._send_message_subtype(
            "message_changed",
            after.channel,
            {
                "message": message_json(self._workspace, after),
                "previous_message": message_json(self._workspace, before),
            },
        )

    def _send_deleted(self, deleted: MessageDeleted) -> None:
        if deleted.tombstone is not None:
            self._send_changed(deleted.before, deleted.tombstone)
            return
        self._send_message_subtype(
            "message_deleted",
            deleted.before.channel,
            {
                "deleted_ts": deleted.before.ts,
                "previous_message": message_json(self._workspace, deleted.before),
            },
        )

    def _send_message_subtype(self, subtype: str, channel_id: str, fields: Json) -> None:
        channel = self._workspace.channels[channel_id]
        ts = self._workspace.next_ts()
        place: Json = {"channel": channel.id, "channel_type": channel.type, "hidden": True}
        self._send(
            "message", {"subtype": subtype, "ts": ts, "event_ts": ts} | place | fields, channel.id
        )

    def _send_title_changed(self, status: ThreadStatus, previous: str) -> None:
        fields: Json = {
            "channel": status.channel,
            "user": BOT_USER_ID,
            "team_id": TEAM_ID,
            "thread_ts": status.thread_ts,
            "title": status.title,
            "previous_title": previous,
        }
        self._send("agent_session_title_changed", fields, status.channel)

    def _send_reaction(self, change: ReactionChanged) -> None:
        message = change.message
        fields: Json = {
            "user": change.user,
            "reaction": change.name,
            "item": {"type": "message", "channel": message.channel, "ts": message.ts},
            "item_user": message.user,
        }
        name = "reaction_added" if change.added else "reaction_removed"
        self._send(name, fields, message.channel)

    def _send_membership(
        self, channel: Channel, user: str, *, joined: bool, inviter: str | None
    ) -> None:
        if channel.is_im:
            return
        fields: Json = {
            "user": user,
            "channel": channel.id,
            "channel_type": "G" if channel.is_private else "C",
            "team": self._workspace.user(user).team_id,
        }
        if inviter is not None:
            fields["inviter"] = inviter
        self._send("member_joined_channel" if joined else "member_left_channel", fields, channel.id)

    def _send(self, kind: str, fields: Json, channel_id: str) -> None:
        channel = self._workspace.channels[channel_id]
        name = MESSAGE_EVENTS[channel.type] if kind == "message" else kind
        if BOT_USER_ID not in channel.members or not self._app_config().is_subscribed(name):
            return
        event: Json = {"event_ts": self._workspace.next_ts()} | fields | {"type": kind}
        self._deliver(self._envelope(event, channel))

    def _envelope(self, event: Json, channel: Channel) -> Json:
        shared = is_shared(self._workspace, channel)
        number = next(self._event_numbers)
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "context_team_id": TEAM_ID,
            "context_enterprise_id": None,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0{int(self._workspace.clock.now())}{number:06d}",
            "event_time": int(self._workspace.clock.now()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM_ID,
                    "user_id": BOT_USER_ID,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": shared,
            "event_context": f"4-{event['type']}-{channel.id}-{number}",
        }
