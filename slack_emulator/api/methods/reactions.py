"""Implements reactions.add, reactions.remove and reactions.get."""

from __future__ import annotations

import re
from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method, message_of
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import ApiError, Json, Message
from slack_emulator.state.serializers import message_json

MAX_REACTIONS: Final = 50
_NAME: Final = re.compile(r"[a-z0-9_+'-]{1,100}(?:::skin-tone-[2-6])?")


def _parse_reaction(slack: SlackBackend, request: ApiRequest) -> tuple[Message, str, bool]:
    name = request.arguments.required_text("name").strip(":")
    if not _NAME.fullmatch(name):
        raise ApiError("invalid_name")
    message = message_of(slack, request, "timestamp")
    return message, name, request.user.id in message.reactions.get(name, ())


async def add(slack: SlackBackend, request: ApiRequest) -> Json:
    """Add the caller's reaction to a message."""
    message, name, there = _parse_reaction(slack, request)
    if there:
        raise ApiError("already_reacted")
    if name not in message.reactions and len(message.reactions) >= MAX_REACTIONS:
        raise ApiError("too_many_emoji")
    slack.workspace.set_reaction(message, name, request.user.id, added=True)
    return {}


async def remove(slack: SlackBackend, request: ApiRequest) -> Json:
    """Remove the caller's reaction from a message."""
    message, name, there = _parse_reaction(slack, request)
    if not there:
        raise ApiError("no_reaction")
    slack.workspace.set_reaction(message, name, request.user.id, added=False)
    return {}


async def get(slack: SlackBackend, request: ApiRequest) -> Json:
    """A message with its reactions."""
    message = message_of(slack, request, "timestamp")
    return {
        "type": "message",
        "channel": message.channel,
        "message": message_json(slack.workspace, message),
    }


METHODS: Final[dict[str, Method]] = {
    "reactions.add": add,
    "reactions.get": get,
    "reactions.remove": remove,
}
