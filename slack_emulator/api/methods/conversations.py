"""Implements conversations.*: channels, their members and their messages."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method, channel_of, paginate
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import ApiError, Channel, Json, Message
from slack_emulator.state.serializers import channel_json, message_json

_TYPES: Final = ("public_channel", "private_channel", "im", "mpim")


def _type_of(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


def _filter_by_type(channels: list[Channel], request: ApiRequest) -> list[Channel]:
    types = request.arguments.string_list("types") or ["public_channel"]
    if not set(types) <= set(_TYPES):
        raise ApiError("invalid_types")
    return [channel for channel in channels if _type_of(channel) in types]


async def list_channels(slack: SlackBackend, request: ApiRequest) -> Json:
    """The channels that the caller may see."""
    seen = [
        channel
        for channel in slack.workspace.channels.values()
        if slack.workspace.can_see(request.user.id, channel)
    ]
    return _channel_page(slack, request, seen)


async def list_user_channels(slack: SlackBackend, request: ApiRequest) -> Json:
    """users.conversations: a user's channels that the caller may see."""
    user = slack.workspace.user(request.arguments.text("user") or request.user.id)
    joined = slack.workspace.channels_of(user.id)
    seen = [channel for channel in joined if slack.workspace.can_see(request.user.id, channel)]
    return _channel_page(slack, request, seen)


def _channel_page(slack: SlackBackend, request: ApiRequest, channels: list[Channel]) -> Json:
    shown = [
        channel_json(slack.workspace, channel, request.user.id)
        for channel in _filter_by_type(channels, request)
    ]
    some, cursor = paginate(shown, request, 100, 1_000)
    return {"channels": some, "response_metadata": {"next_cursor": cursor}}


async def info(slack: SlackBackend, request: ApiRequest) -> Json:
    """One channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(request.arguments.required_text("channel"), request.user.id)
    return {"channel": channel_json(workspace, channel, request.user.id)}


async def members(slack: SlackBackend, request: ApiRequest) -> Json:
    """The members of a channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(request.arguments.required_text("channel"), request.user.id)
    ids: list[Json] = [{"id": user} for user in workspace.users if user in channel.members]
    some, cursor = paginate(ids, request, 100, 1_000)
    return {
        "members": [one["id"] for one in some],
        "response_metadata": {"next_cursor": cursor},
    }


async def open_conversation(slack: SlackBackend, request: ApiRequest) -> Json:
    """Open the direct message with a user."""
    workspace = slack.workspace
    if request.arguments.has_value("channel"):
        channel = workspace.visible_channel(request.arguments.text("channel"), request.user.id)
        if not channel.is_im:
            raise ApiError("channel_not_found")
        already = True
    else:
        users = request.arguments.string_list("users")
        if not users:
            raise ApiError("users_list_not_supplied")
        if len(users) > 1:
            raise ApiError("not_enough_users" if len(set(users)) < 2 else "too_many_users")
        channel, already = workspace.open_im(request.user.id, workspace.user(users[0]).id)
    shown: Json = {"id": channel.id}
    if request.arguments.flag("return_im"):
        shown = channel_json(workspace, channel, request.user.id)
    return {"channel": shown} | ({"no_op": True, "already_open": True} if already else {})


async def join(slack: SlackBackend, request: ApiRequest) -> Json:
    """Join a public channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(request.arguments.required_text("channel"), request.user.id)
    if channel.is_im or channel.is_private:
        raise ApiError("method_not_supported_for_channel_type")
    already = request.user.id in channel.members
    if not already:
        channel = workspace.join(channel, request.user.id)
    shown: Json = {"channel": channel_json(workspace, channel, request.user.id)}
    return shown | ({"warning": "already_in_channel"} if already else {})


async def leave(slack: SlackBackend, request: ApiRequest) -> Json:
    """Leave a channel."""
    workspace = slack.workspace
    channel = workspace.visible_channel(request.arguments.required_text("channel"), request.user.id)
    if channel.is_im:
        raise ApiError("method_not_supported_for_channel_type")
    if request.user.id not in channel.members:
        return {"not_in_channel": True}
    workspace.leave(channel, request.user.id)
    return {}


async def invite(slack: SlackBackend, request: ApiRequest) -> Json:
    """Invite users to one of the caller's channels."""
    workspace = slack.workspace
    channel = channel_of(slack, request)
    if channel.is_im:
        raise ApiError("method_not_supported_for_channel_type")
    users = request.arguments.string_list("users")
    if not users:
        raise ApiError("no_user")
    for user_id in users:
        user = workspace.user(user_id)
        if user.id == request.user.id:
            raise ApiError("cant_invite_self")
        if user.id in channel.members:
            raise ApiError("already_in_channel")
        channel = workspace.join(channel, user.id, inviter=request.user.id)
    return {"channel": channel_json(workspace, channel, request.user.id)}


async def kick(slack: SlackBackend, request: ApiRequest) -> Json:
    """Remove a user from one of the caller's channels."""
    channel = channel_of(slack, request)
    user = slack.workspace.user(request.arguments.required_text("user"))
    if user.id == request.user.id:
        raise ApiError("cant_kick_self")
    if channel.is_im or user.id not in channel.members:
        raise ApiError("not_in_channel")
    slack.workspace.leave(channel, user.id)
    return {}


async def history(slack: SlackBackend, request: ApiRequest) -> Json:
    """The messages of a channel without replies, newest first."""
    channel = channel_of(slack, request)
    roots = [
        message
        for message in slack.workspace.messages(channel.id)
        if message.thread_ts is None or message.subtype == "thread_broadcast"
    ]
    return _message_page(slack, request, list(reversed(_filter_by_time(roots, request))))


async def replies(slack: SlackBackend, request: ApiRequest) -> Json:
    """The messages of a thread, its root first."""
    channel = channel_of(slack, request)
    root = slack.workspace.thread_root(channel.id, request.arguments.required_text("ts"))
    thread_replies = slack.workspace.replies(channel.id, root.ts)
    return _message_page(slack, request, [root, *_filter_by_time(thread_replies, request)])


def _filter_by_time(messages: list[Message], request: ApiRequest) -> list[Message]:
    """The messages between `oldest` and `latest`; both ends count only if `inclusive`."""
    oldest, latest = _parse_time(request, "oldest"), _parse_time(request, "latest")
    inclusive = request.arguments.flag("inclusive")

    def inside(message: Message) -> bool:
        ts = Decimal(message.ts)
        if inclusive and ts in (oldest, latest):
            return True
        return (oldest is None or ts > oldest) and (latest is None or ts < latest)

    return [message for message in messages if inside(message)]


def _parse_time(request: ApiRequest, name: str) -> Decimal | None:
    value = request.arguments.text(name)
    if not value or value == "0":
        return None
    try:
        time = Decimal(value)
    except InvalidOperation:
        raise ApiError(f"invalid_ts_{name}") from None
    if not time.is_finite():
        raise ApiError(f"invalid_ts_{name}")
    return time


def _message_page(slack: SlackBackend, request: ApiRequest, messages: list[Message]) -> Json:
    metadata = request.arguments.flag("include_all_metadata")
    placed: list[Json] = [{"ts": message.ts} for message in messages]
    some, cursor = paginate(placed, request, 100, 1_000)
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
    "conversations.list": list_channels,
    "conversations.members": members,
    "conversations.open": open_conversation,
    "conversations.replies": replies,
    "users.conversations": list_user_channels,
}
