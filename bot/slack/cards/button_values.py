"""What a button or an option carries: an order, small enough for Slack, and read back with care.

Slack takes 2,000 characters of a button's value and 150 of an option's
(slack_sdk.models.blocks.basic_components).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from bot.domain.messages import TS_PATTERN, ThreadKey, strip_unstorable

COMMAND_ACTION_PREFIX: Final = "order:"
"""How the action ids of everything that orders something begin."""

MAX_BUTTON_VALUE_CHARS: Final = 2_000
MAX_OPTION_VALUE_CHARS: Final = 150

_COMMAND_NAME: Final = re.compile(r"[a-z]{1,20}", re.ASCII)
_CHANNEL: Final = re.compile(r"[A-Z0-9]{2,40}", re.ASCII)
_MAX_TURN: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonValue:
    """The order that a press carries."""

    command_name: str
    args: str = ""
    channel: str = ""
    root_ts: str = ""
    """With `channel` the thread that it is about, where the card stands in one."""
    turn: int | None = None
    replaces_message: bool = False
    """Whether what comes of it takes the place of the card (paging)."""

    def encode(self, max_chars: int) -> str:
        """As the value of a button or an option of at most `most` characters; without the thread
        where only so it fits (the message that is pressed tells it, too), "" where not at all."""
        place = {"c": self.channel, "t": self.root_ts}
        order = {
            "v": self.command_name,
            "w": self.args,
            "n": self.turn,
            "r": int(self.replaces_message),
        }
        for parts in (order | place, order):
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
    """What a press carries on a card that stands in `thread` and answers the order `card_verb`."""
    return ButtonValue(
        command_name=command_name,
        args=args,
        channel=thread.channel if thread else "",
        root_ts=thread.root_ts if thread else "",
        turn=turn,
        replaces_message=bool(card_command) and command_name == card_command,
    )


def parse_button_value(value: object) -> ButtonValue | None:
    """The order in a value that comes back, or None for what makes no sense. Never raises."""
    if not isinstance(value, str) or len(value) > MAX_BUTTON_VALUE_CHARS:
        return None
    try:
        parts: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, dict):
        return None
    match [parts.get("v"), *(parts.get(key, "") for key in "wct")]:
        case [str(verb), str(words), str(channel), str(root)] if _COMMAND_NAME.fullmatch(verb):
            pass
        case _:
            return None
    if (channel or root) and not (_CHANNEL.fullmatch(channel) and TS_PATTERN.fullmatch(root)):
        return None
    turn = parts.get("n")
    if turn is not None and (type(turn) is not int or not 0 <= turn < _MAX_TURN):
        return None
    return ButtonValue(
        command_name=verb,
        args=strip_unstorable(words),
        channel=channel,
        root_ts=root,
        turn=turn,
        replaces_message=parts.get("r") == 1,
    )
