"""Streams the changes that one user may see to the emulator's page, as Server-Sent Events.

`GET /sandbox/feed?user=<id>` (a user's id such as UALICE; 400 otherwise). Each event has a name
(`event:`) and one line of JSON (`data:`). A client that falls too far behind is disconnected and
connects again. Users get no events of channels that they are not in.

On connect there is one `snapshot`; history is read by `conversations.history` and
`conversations.replies` with the user's token. A MESSAGE is what these return.

    snapshot         {"me": USER, "team": {"id", "name"}, "users": [USER], "notice": str,
                      "channels": [{"id", "name", "is_private", "topic", "members": [id]}],
                      "ims": [{"id", "user"}]  (user: the other side, the bot or a user),
                      "app": {"id", "name", "bot_id", "user_id", "description",
                              "commands": [{"command", "description", "usage_hint"}],
                              "shortcuts": [{"callback_id", "name", "description"}]},
                      "clock": seconds since the epoch,
                      "statuses": [as `status`], "prompts": [as `prompts`],
                      "ephemerals": [as `ephemeral`], "views": [as `view_opened`],
                      "home": as `home`, or null}
                     USER = {"id", "name", "real_name", "token" ("" for bots), "team_id", "is_bot",
                             "is_admin", "is_stranger"}
    message          {"channel", "message": MESSAGE}             a new one, also in a thread
    message_changed  {"channel", "message": MESSAGE}             also a root with a new reply_count
    message_deleted  {"channel", "ts", "thread_ts" or null}
    stream           {"channel", "ts", "thread_ts", "state", "delta", "message": MESSAGE}
                     state: "streaming", "stopped", "stopped_by_user" or "expired"; delta: the text
                     that was added; message: all of it so far. A stream begins with `message`.
                     MESSAGE of a stream has Slack's own "streaming_state" ("in_progress",
                     "completed", "errored"), "streaming": {"state", "task_display_mode"}, and its
                     "blocks" are what is shown: {"type": "markdown", "text"},
                     {"type": "task_card", "task_id", "title", "status", "details"?, "output"?,
                     "sources"?}, {"type": "plan", "title", "tasks": [task_card]}, and any blocks
                     that the app sent.
    status           {"channel", "thread_ts", "status": free text ("" for none),
                      "loading_messages": [str], "session": "active" | "processing" | "suspended" |
                      "closed" | null, "title": str}             a Stop button while "processing"
    prompts          {"channel", "thread_ts" or null, "title", "prompts": [{"title", "message"}]}
    reaction         {"channel", "ts", "name", "user", "added": bool, "message": MESSAGE}
    ephemeral        {"channel", "ts", "thread_ts" or null, "text", "blocks": [...], "user",
                      "deleted": bool}                           same ts again: replaced
    view_opened      {"view": VIEW}    VIEW is Slack's view object: id, type, title, blocks, ...
    view_updated     {"view": VIEW}
    view_closed      {"view_id": id}   the view below it on the stack is shown again
    home             {"view": VIEW}
    channel_joined   {"channel": as in the snapshot}             also when others join or leave; an
                                                                 im comes as {"channel": {"id",
                                                                 "user", "is_im": true}}
    app              {"app": as in the snapshot}                 the app's profile was changed
    call             {"method", "ok", "error" or null, "ts": time, "arguments": {...}}
                                                                 every Web API call of the app
    clock            {"clock": seconds}                          it was advanced
    reset            {}                                          everything is empty: connect again
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from aiohttp import web

from slack_emulator.api.methods.apps import TEAM_NAME
from slack_emulator.backend import SlackBackend
from slack_emulator.call_log import LoggedCall
from slack_emulator.state.changes import (
    Change,
    EphemeralPosted,
    HomeOpened,
    MembershipChanged,
    MessageChanged,
    MessageDeleted,
    MessagePosted,
    PromptsSet,
    ReactionChanged,
    Reset,
    StatusSet,
    StopRequested,
    StreamUpdated,
    ViewChanged,
)
from slack_emulator.state.entities import TEAM_ID, Channel, Json, User
from slack_emulator.state.serializers import im_partner, message_json

MAX_QUEUED: Final = 2_000
"""Maximum number of events that a page may be behind before it is disconnected."""
MAX_SUBSCRIBERS: Final = 50
KEEPALIVE_SECONDS: Final = 15.0


class _Subscriber:
    """One open page and the events that it has not read yet."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue(MAX_QUEUED)
        self.overflowed = False

    def enqueue(self, name: str, data: Json) -> None:
        try:
            self.queue.put_nowait((name, data))
        except asyncio.QueueFull:
            self.overflowed = True


class EventStream:
    """The event streams of all open pages."""

    def __init__(self, slack: SlackBackend) -> None:
        self._slack = slack
        self._subscribers: list[_Subscriber] = []
        self._closing = asyncio.Event()
        slack.workspace.add_listener(self._on_change)
        slack.call_log.add_listener(self._on_call)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Stream events to one page until it disconnects."""
        user = self._slack.workspace.users.get(request.query.get("user", ""))
        if user is None or user.is_bot:
            return web.Response(status=400, text="Name a user: /sandbox/feed?user=UALICE\n")
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            return web.Response(status=503, text="Too many pages are open.\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        reader = _Subscriber(user)
        reader.enqueue("snapshot", self._snapshot(user))
        self._subscribers.append(reader)
        try:
            with contextlib.suppress(ConnectionError):
                await self._stream_events(reader, response)
        finally:
            self._subscribers.remove(reader)
        return response

    async def _stream_events(self, subscriber: _Subscriber, response: web.StreamResponse) -> None:
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while not subscriber.overflowed and not closing.done():
                event = asyncio.ensure_future(subscriber.queue.get())
                await asyncio.wait(
                    {event, closing},
                    timeout=KEEPALIVE_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not event.done():
                    event.cancel()
                    await asyncio.gather(event, return_exceptions=True)
                    await response.write(b": still here\n\n")
                    continue
                name, data = event.result()
                await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)

    def close(self) -> None:
        """Disconnect all pages."""
        self._closing.set()

    def broadcast(self, name: str, data: Json) -> None:
        """Send an event to every page."""
        for reader in self._subscribers:
            reader.enqueue(name, data)

    def _on_call(self, call: LoggedCall) -> None:
        answer = call.response or {}
        ok = answer.get("ok") is True and call.fault not in ("drop_after", "garbage")
        error = None if ok else answer.get("error") or call.fault or "nothing came back"
        self.broadcast(
            "call",
            {
                "method": call.method,
                "ok": ok,
                "error": error,
                "ts": call.time,
                "arguments": call.arguments,
            },
        )

    def _send_to_channel(self, channel_id: str, name: str, data: Json) -> None:
        channel = self._slack.workspace.channels.get(channel_id)
        for reader in self._subscribers:
            if channel is not None and reader.user.id in channel.members:
                reader.enqueue(name, data)

    def _send_to_user(self, user_id: str, name: str, data: Json) -> None:
        for reader in self._subscribers:
            if reader.user.id == user_id:
                reader.enqueue(name, data)

    def _on_change(self, change: Change) -> None:
        workspace = self._slack.workspace
        if not self._subscribers:
            return
        match change:
            case MessagePosted(message):
                shown = message_json(workspace, message)
                self._send_to_channel(
                    message.channel, "message", {"channel": message.channel, "message": shown}
                )
            case MessageChanged(_, after):
                shown = message_json(workspace, after)
                self._send_to_channel(
                    after.channel, "message_changed", {"channel": after.channel, "message": shown}
                )
            case StreamUpdated(_, after, delta):
                data: Json = {"channel": after.channel, "ts": after.ts, "thread_ts": after.root_ts}
                data |= {"state": after.stream_state, "delta": delta}
                data["message"] = message_json(workspace, after)
                self._send_to_channel(after.channel, "stream", data)
            case MessageDeleted(before, None):
                data = {"channel": before.channel, "ts": before.ts, "thread_ts": before.thread_ts}
                self._send_to_channel(before.channel, "message_deleted", data)
            case MessageDeleted(before, tombstone) if tombstone is not None:
                shown = message_json(workspace, tombstone)
                self._send_to_channel(
                    before.channel, "message_changed", {"channel": before.channel, "message": shown}
                )
            case StatusSet(status, _):
                self._send_to_channel(status.channel, "status", status.as_json())
            case PromptsSet(prompts):
                self._send_to_channel(prompts.channel, "prompts", prompts.as_json())
            case ReactionChanged(message, name, user, added):
                data = {"channel": message.channel, "ts": message.ts, "name": name, "user": user}
                data |= {"added": added, "message": message_json(workspace, message)}
                self._send_to_channel(message.channel, "reaction", data)
            case EphemeralPosted(ephemeral):
                self._send_to_user(ephemeral.user, "ephemeral", ephemeral.as_json())
            case ViewChanged("view_closed", user, view):
                self._send_to_user(user, "view_closed", {"view_id": view["id"]})
            case ViewChanged(what, user, view):
                self._send_to_user(user, what, {"view": view})
            case MembershipChanged(channel, _, _, _):
                self._send_membership(channel)
            case Reset():
                self.broadcast("reset", {})
            case StopRequested() | HomeOpened() | _:
                pass

    def _send_membership(self, channel: Channel) -> None:
        for reader in self._subscribers:
            if reader.user.id in channel.members:
                shown = _im_json(channel, reader.user) if channel.is_im else _channel_json(channel)
                reader.enqueue("channel_joined", {"channel": shown})

    def _snapshot(self, viewer: User) -> Json:
        workspace = self._slack.workspace
        joined = workspace.channels_of(viewer.id)
        inside = {channel.id for channel in joined}
        now = [workspace.thread_status(*key) for key in workspace.statuses if key[0] in inside]
        home = self._slack.views.homes.get(viewer.id)
        return {
            "me": _user_json(viewer),
            "team": {"id": TEAM_ID, "name": TEAM_NAME},
            "users": [_user_json(user) for user in workspace.users.values()],
            "notice": self._slack.notice,
            "channels": [_channel_json(channel) for channel in joined if not channel.is_im],
            "ims": [_im_json(channel, viewer) for channel in joined if channel.is_im],
            "app": self._slack.app_config.profile(),
            "clock": self._slack.clock.now(),
            "statuses": [status.as_json() for status in now],
            "prompts": [p.as_json() for p in workspace.prompts.values() if p.channel in inside],
            "ephemerals": [one.as_json() for one in workspace.ephemerals.get(viewer.id, [])],
            "views": [{"view": view} for view in self._slack.views.stack_of(viewer.id)],
            "home": None if home is None else {"view": home},
        }


def _user_json(user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "real_name": user.real_name,
        "token": "" if user.is_bot else user.token,
        "team_id": user.team_id,
        "is_bot": user.is_bot,
        "is_admin": user.is_admin,
        "is_stranger": user.is_stranger,
    }


def _channel_json(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_private": channel.is_private,
        "topic": channel.topic,
        "members": sorted(channel.members),
    }


def _im_json(channel: Channel, viewer: User) -> Json:
    return {"id": channel.id, "user": im_partner(channel, viewer.id), "is_im": True}
