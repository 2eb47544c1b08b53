"""conversations.*: channels, who is in them, and what was said there."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from slack_emulator.api.methods.request import Asked, Method, channel_of, page
from slack_emulator.backend import Slack
from slack_emulator.state.entities import Channel, Json, Message, Refused
from slack_emulator.state.serializers import channel_json, message_json

_TYPES: Final = ("public_channel", "private_channel", "im", "mpim")


def _type_of(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


def _of_types(channels: list[Channel], asked: Asked) -> list[Channel]:
    types = asked.arguments.names("types") or ["public_channel"]
    if not set(types) <= set(_TYPES):
        raise Refused("invalid_types")
    return [channel for channel in channels if _type_of(channel) in types]


async def listed(slack: Slack, asked: Asked) -> Json:
    """The channels that the caller may see."""
    seen = [
        channel
        for channel in slack.workspace.channels.values()
        if slack.workspace.sees(asked.user.id, channel)
    ]
    return _channel_page(slack, asked, seen)


async def of_user(slack: Slack, asked: Asked) -> Json:
    """users.conversations: the channels that somebody is in and the caller may see."""
    user = slack.workspace.user(asked.arguments.text("user") or asked.user.id)
    theirs = slack.workspace.channels_of(user.id)
    seen = [channel for channel in theirs if slack.workspace.sees(asked.user.id, channel)]
    return _channel_page(slack, asked, seen)


def _channel_page(slack: Slack, asked: Asked, channels: list[Channel]) -> Json:
    shown = [
        channel_json(slack.workspace, channel, asked.user.id)
        for channel in _of_types(channels, asked)
    ]
    some, cursor = page(shown, asked, 100, 1_000)
    return {"channels": some, "response_metadata": {"next_cursor": cursor}}


async def info(slack: Slack, asked: Asked) -> Json:
    """One channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(asked.arguments.required("channel"), asked.user.id)
    return {"channel": channel_json(workspace, channel, asked.user.id)}


async def members(slack: Slack, asked: Asked) -> Json:
    """Who is in a channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(asked.arguments.required("channel"), asked.user.id)
    ids: list[Json] = [{"id": user} for user in workspace.users if user in channel.members]
    some, cursor = page(ids, asked, 100, 1_000)
    return {
        "members": [one["id"] for one in some],
        "response_metadata": {"next_cursor": cursor},
    }


async def opened(slack: Slack, asked: Asked) -> Json:
    """The direct message with somebody."""
    workspace = slack.workspace
    if asked.arguments.has("channel"):
        channel = workspace.visible_channel(asked.arguments.text("channel"), asked.user.id)
        if not channel.is_im:
            raise Refused("channel_not_found")
        already = True
    else:
        users = asked.arguments.names("users")
        if not users:
            raise Refused("users_list_not_supplied")
        if len(users) > 1:
            raise Refused("not_enough_users" if len(set(users)) < 2 else "too_many_users")
        channel, already = workspace.open_im(asked.user.id, workspace.user(users[0]).id)
    shown: Json = {"id": channel.id}
    if asked.arguments.flag("return_im"):
        shown = channel_json(workspace, channel, asked.user.id)
    return {"channel": shown} | ({"no_op": True, "already_open": True} if already else {})


async def join(slack: Slack, asked: Asked) -> Json:
    """Come into a public channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(asked.arguments.required("channel"), asked.user.id)
    if channel.is_im or channel.is_private:
        raise Refused("method_not_supported_for_channel_type")
    already = asked.user.id in channel.members
    if not already:
        channel = workspace.join(channel, asked.user.id)
    shown: Json = {"channel": channel_json(workspace, channel, asked.user.id)}
    return shown | ({"warning": "already_in_channel"} if already else {})


async def leave(slack: Slack, asked: Asked) -> Json:
    """Go out of a channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(asked.arguments.required("channel"), asked.user.id)
    if channel.is_im:
        raise Refused("method_not_supported_for_channel_type")
    if asked.user.id not in channel.members:
        return {"not_in_channel": True}
    workspace.leave(channel, asked.user.id)
    return {}


async def invite(slack: Slack, asked: Asked) -> Json:
    """Bring somebody into a channel that one is in."""
    workspace = slack.workspace
    channel = channel_of(slack, asked)
    if channel.is_im:
        raise Refused("method_not_supported_for_channel_type")
    users = asked.arguments.names("users")
    if not users:
        raise Refused("no_user")
    for user_id in users:
        user = workspace.user(user_id)
        if user.id == asked.user.id:
            raise Refused("cant_invite_self")
        if user.id in channel.members:
            raise Refused("already_in_channel")
        channel = workspace.join(channel, user.id, inviter=asked.user.id)
    return {"channel": channel_json(workspace, channel, asked.user.id)}


async def kick(slack: Slack, asked: Asked) -> Json:
    """Take somebody out of a channel that one is in."""
    channel = channel_of(slack, asked)
    user = slack.workspace.user(asked.arguments.required("user"))
    if user.id == asked.user.id:
        raise Refused("cant_kick_self")
    if channel.is_im or user.id not in channel.members:
        raise Refused("not_in_channel")
    slack.workspace.leave(channel, user.id)
    return {}


async def history(slack: Slack, asked: Asked) -> Json:
    """What was said in a channel, without replies, newest first."""
    channel = channel_of(slack, asked)
    roots = [
        message
        for message in slack.workspace.messages(channel.id)
        if message.thread_ts is None or message.subtype == "thread_broadcast"
    ]
    return _message_page(slack, asked, list(reversed(_in_time(roots, asked))))


async def replies(slack: Slack, asked: Asked) -> Json:
    """A thread, its root first."""
    channel = channel_of(slack, asked)
    root = slack.workspace.thread_root(channel.id, asked.arguments.required("ts"))
    said = slack.workspace.replies(channel.id, root.ts)
    return _message_page(slack, asked, [root, *_in_time(said, asked)])


def _in_time(messages: list[Message], asked: Asked) -> list[Message]:
    """Those between `oldest` and `latest`; the two themselves only if `inclusive`."""
    oldest, latest = _time(asked, "oldest"), _time(asked, "latest")
    inclusive = asked.arguments.flag("inclusive")

    def inside(message: Message) -> bool:
        ts = Decimal(message.ts)
        if inclusive and ts in (oldest, latest):
            return True
        return (oldest is None or ts > oldest) and (latest is None or ts < latest)

    return [message for message in messages if inside(message)]


def _time(asked: Asked, name: str) -> Decimal | None:
    value = asked.arguments.text(name)
    if not value or value == "0":
        return None
    try:
        time = Decimal(value)
    except InvalidOperation:
        raise Refused(f"invalid_ts_{name}") from None
    if not time.is_finite():
        raise Refused(f"invalid_ts_{name}")
    return time


def _message_page(slack: Slack, asked: Asked, messages: list[Message]) -> Json:
    metadata = asked.arguments.flag("include_all_metadata")
    placed: list[Json] = [{"ts": message.ts} for message in messages]
    some, cursor = page(placed, asked, 100, 1_000)
    wanted = {one["ts"] for one in some}
    shown = [
        message_json(slack.workspace, message, metadata=metadata)
        for message in messages
        if message.ts in wanted
    ]
    answer: Json = {"messages": shown, "has_more": bool(cursor)}
    if cursor:
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


METHODS: Final[dict[str, Method]] = {
    "conversations.history": history,
    "conversations.info": info,
    "conversations.invite": invite,
    "conversations.join": join,
    "conversations.kick": kick,
    "conversations.leave": leave,
    "conversations.list": listed,
    "conversations.members": members,
    "conversations.open": opened,
    "conversations.replies": replies,
    "users.conversations": of_user,
}
