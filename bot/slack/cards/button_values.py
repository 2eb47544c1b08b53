"""What a button or an option carries: an order, small enough for Slack, and read back with care.

Slack takes 2,000 characters of a button's value and 150 of an option's
(slack_sdk.models.blocks.basic_components).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from bot.domain.messages import TS, ThreadKey, storable

ACTION: Final = "order:"
"""How the action ids of everything that orders something begin."""

BUTTON_CHARS: Final = 2_000
OPTION_CHARS: Final = 150

_VERB: Final = re.compile(r"[a-z]{1,20}", re.ASCII)
_CHANNEL: Final = re.compile(r"[A-Z0-9]{2,40}", re.ASCII)
_MOST_TURNS: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The order that a press carries."""

    verb: str
    words: str = ""
    channel: str = ""
    root_ts: str = ""
    """With `channel` the thread that it is about, where the card stands in one."""
    turn: int | None = None
    replaces: bool = False
    """Whether what comes of it takes the place of the card (paging)."""

    def value(self, most: int) -> str:
        """As the value of a button or an option of at most `most` characters; without the thread
        where only so it fits (the message that is pressed tells it, too), "" where not at all."""
        place = {"c": self.channel, "t": self.root_ts}
        order = {"v": self.verb, "w": self.words, "n": self.turn, "r": int(self.replaces)}
        for parts in (order | place, order):
            kept = {key: each for key, each in parts.items() if each not in ("", None, 0)}
            if self.turn == 0:
                kept["n"] = 0
            value = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
            if len(value) <= most:
                return value
        return ""


def carried(
    verb: str, words: str, *, thread: ThreadKey | None, turn: int | None, card_verb: str
) -> Carried:
    """What a press carries on a card that stands in `thread` and answers the order `card_verb`."""
    return Carried(
        verb=verb,
        words=words,
        channel=thread.channel if thread else "",
        root_ts=thread.root_ts if thread else "",
        turn=turn,
        replaces=bool(card_verb) and verb == card_verb,
    )


def read_value(value: object) -> Carried | None:
    """The order in a value that comes back, or None for what makes no sense. Never raises."""
    if not isinstance(value, str) or len(value) > BUTTON_CHARS:
        return None
    try:
        parts: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, dict):
        return None
    match [parts.get("v"), *(parts.get(key, "") for key in "wct")]:
        case [str(verb), str(words), str(channel), str(root)] if _VERB.fullmatch(verb):
            pass
        case _:
            return None
    if (channel or root) and not (_CHANNEL.fullmatch(channel) and TS.fullmatch(root)):
        return None
    turn = parts.get("n")
    if turn is not None and (type(turn) is not int or not 0 <= turn < _MOST_TURNS):
        return None
    return Carried(
        verb=verb,
        words=storable(words),
        channel=channel,
        root_ts=root,
        turn=turn,
        replaces=parts.get("r") == 1,
    )
