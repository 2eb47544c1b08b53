"""Encodes a command as the value of a button or an option, and parses it back strictly.

Slack allows 2,000 characters in a button's value and 150 in an option's
(slack_sdk.models.blocks.basic_components).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from bot.domain.messages import TS_PATTERN, ThreadKey, strip_unstorable

COMMAND_ACTION_PREFIX: Final = "order:"
"""The prefix of the action ids of everything that runs a command."""

MAX_BUTTON_VALUE_CHARS: Final = 2_000
MAX_OPTION_VALUE_CHARS: Final = 150

_COMMAND_NAME: Final = re.compile(r"[a-z]{1,20}", re.ASCII)
_CHANNEL: Final = re.compile(r"[A-Z0-9]{2,40}", re.ASCII)
_MAX_TURN: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonValue:
    """The command that a button or an option carries."""

    command_name: str
    args: str = ""
    channel: str = ""
    root_ts: str = ""
    """With `channel` the thread that the command is about, if the card is in one."""
    turn: int | None = None
    replaces_message: bool = False
    """Whether the result replaces the card (paging)."""

    def encode(self, max_chars: int) -> str:
        """The value of at most `max_chars` characters, or an empty string if it cannot be that
        short.

        If necessary it leaves out the thread, which the message with the button shows as well.
        """
        thread = {"c": self.channel, "t": self.root_ts}
        command = {
            "v": self.command_name,
            "w": self.args,
            "n": self.turn,
            "r": int(self.replaces_message),
        }
        for parts in (command | thread, command):
            kept = {key: each for key, each in parts.items() if each not in ("", None, 0)}
            if self.turn == 0:
                kept["n"] = 0
            value = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
            if len(value) <= max_chars:
                return value
        return ""


def build_button_value(
    command_name: str, args: str, *, thread: ThreadKey | None, turn: int | None, card_command: str
) -> ButtonValue:
    """The value of a button on a card in `thread` that answers the command `card_command`."""
    return ButtonValue(
        command_name=command_name,
        args=args,
        channel=thread.channel if thread else "",
        root_ts=thread.root_ts if thread else "",
        turn=turn,
        replaces_message=bool(card_command) and command_name == card_command,
    )


def parse_button_value(value: object) -> ButtonValue | None:
    """The command in a value that Slack returned, or None for an invalid one. Never raises."""
    if not isinstance(value, str) or len(value) > MAX_BUTTON_VALUE_CHARS:
        return None
    try:
        parts: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, dict):
        return None
    match [parts.get("v"), *(parts.get(key, "") for key in "wct")]:
        case [str(command_name), str(args), str(channel), str(root_ts)] if _COMMAND_NAME.fullmatch(
            command_name
        ):
            pass
        case _:
            return None
    if (channel or root_ts) and not (_CHANNEL.fullmatch(channel) and TS_PATTERN.fullmatch(root_ts)):
        return None
    turn = parts.get("n")
    if turn is not None and (type(turn) is not int or not 0 <= turn < _MAX_TURN):
        return None
    return ButtonValue(
        command_name=command_name,
        args=strip_unstorable(args),
        channel=channel,
        root_ts=root_ts,
        turn=turn,
        replaces_message=parts.get("r") == 1,
    )
