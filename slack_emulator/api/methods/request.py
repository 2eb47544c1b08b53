"""One Web API call as a method sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slack_emulator.api.arguments import Arguments
from slack_emulator.backend import Slack
from slack_emulator.state.entities import BOT_USER_ID, Channel, Json, Message, Refused, User


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and with what."""

    user: User
    """The person, the app's bot, or another app's."""
    arguments: Arguments

    @property
    def by_app(self) -> bool:
        return self.user.id == BOT_USER_ID


Method = Callable[[Slack, Asked], Awaitable[Json]]
"""A Web API method: the answer without `ok`, or Refused."""


def channel_of(slack: Slack, asked: Asked, name: str = "channel") -> Channel:
    """The channel that is meant, which the caller is in.

    A user's id stands for the direct message with them, and #name for a channel, as at Slack.
    """
    channel_id = asked.arguments.required(name)
    if channel_id.startswith("#"):
        channel_id = slack.workspace.channel_named(channel_id[1:])
    if channel_id in slack.workspace.users:
        return slack.workspace.open_im(asked.user.id, channel_id)[0]
    return slack.workspace.joined_channel(channel_id, asked.user.id)


def message_of(slack: Slack, asked: Asked, name: str = "ts") -> Message:
    """The message that is meant. Refused with `message_not_found`."""
    channel = channel_of(slack, asked)
    ts = asked.arguments.required(name)
    return slack.workspace.message(channel.id, ts)


def page(items: list[Json], asked: Asked, default: int, most: int) -> tuple[list[Json], str]:
    """One page of a list, and the cursor of the next ("" for none). Refused: `invalid_cursor`."""
    limit = asked.arguments.number("limit", default, 1, most)
    cursor = asked.arguments.text("cursor")
    start = 0
    if cursor:
        word, _, number = cursor.partition(":")
        if word != "next" or not (number.isascii() and number.isdigit() and len(number) < 12):
            raise Refused("invalid_cursor")
        start = int(number)
    end = start + limit
    return items[start:end], f"next:{end}" if end < len(items) else ""
