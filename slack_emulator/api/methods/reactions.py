"""reactions.add, reactions.remove, reactions.get."""

from __future__ import annotations

import re
from typing import Final

from slack_emulator.api.methods.request import Asked, Method, message_of
from slack_emulator.backend import Slack
from slack_emulator.state.entities import Json, Message, Refused
from slack_emulator.state.serializers import message_json

MAX_REACTIONS: Final = 50
_NAME: Final = re.compile(r"[a-z0-9_+'-]{1,100}(?:::skin-tone-[2-6])?")


def _reaction(slack: Slack, asked: Asked) -> tuple[Message, str, bool]:
    name = asked.arguments.required("name").strip(":")
    if not _NAME.fullmatch(name):
        raise Refused("invalid_name")
    message = message_of(slack, asked, "timestamp")
    return message, name, asked.user.id in message.reactions.get(name, ())


async def add(slack: Slack, asked: Asked) -> Json:
    """React to a message."""
    message, name, there = _reaction(slack, asked)
    if there:
        raise Refused("already_reacted")
    if name not in message.reactions and len(message.reactions) >= MAX_REACTIONS:
        raise Refused("too_many_emoji")
    slack.workspace.react(message, name, asked.user.id, added=True)
    return {}


async def remove(slack: Slack, asked: Asked) -> Json:
    """Take one's own reaction back."""
    message, name, there = _reaction(slack, asked)
    if not there:
        raise Refused("no_reaction")
    slack.workspace.react(message, name, asked.user.id, added=False)
    return {}


async def get(slack: Slack, asked: Asked) -> Json:
    """A message with its reactions."""
    message = message_of(slack, asked, "timestamp")
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
