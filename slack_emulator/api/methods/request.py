"""Defines one Web API call as a method receives it, and the helpers that methods share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slack_emulator.api.arguments import Arguments
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import BOT_USER_ID, ApiError, Channel, Json, Message, User


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """The caller and the arguments of one call."""

    user: User
    """A human user, the app's bot, or another app's bot."""
    arguments: Arguments

    @property
    def from_app(self) -> bool:
        return self.user.id == BOT_USER_ID


Method = Callable[[SlackBackend, ApiRequest], Awaitable[Json]]
"""A Web API method. Returns the response without `ok`, or raises ApiError."""


def channel_of(slack: SlackBackend, request: ApiRequest, name: str = "channel") -> Channel:
    """The channel that an argument names. The caller must be a member.

    As at Slack, a user id means the direct message with that user, and `#name` a channel.
    """
    channel_id = request.arguments.required_text(name)
    if channel_id.startswith("#"):
        channel_id = slack.workspace.channel_id_by_name(channel_id[1:])
    if channel_id in slack.workspace.users:
        return slack.workspace.open_im(request.user.id, channel_id)[0]
    return slack.workspace.joined_channel(channel_id, request.user.id)


def message_of(slack: SlackBackend, request: ApiRequest, name: str = "ts") -> Message:
    """The message that the arguments name. Raises ApiError (`message_not_found`)."""
    channel = channel_of(slack, request)
    ts = request.arguments.required_text(name)
    return slack.workspace.message(channel.id, ts)


def paginate(
    items: list[Json], request: ApiRequest, default: int, max_limit: int
) -> tuple[list[Json], str]:
    """One page of a list, and the cursor of the next page ("" for none).

    Raises ApiError (`invalid_cursor`).
    """
    limit = request.arguments.integer("limit", default, 1, max_limit)
    cursor = request.arguments.text("cursor")
    start = 0
    if cursor:
        word, _, number = cursor.partition(":")
        if word != "next" or not (number.isascii() and number.isdigit() and len(number) < 12):
            raise ApiError("invalid_cursor")
        start = int(number)
    end = start + limit
    return items[start:end], f"next:{end}" if end < len(items) else ""
