"""The frozen facts that the parts of Threadpilot hand to one another.

Foreign payloads are turned into these at the doors (`bot.slack`, `bot.copilot`, `bot.store`);
behind the doors nobody sees a raw Slack or SDK payload.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TS_PATTERN: Final = re.compile(r"([0-9]{1,12})\.([0-9]{6})", re.ASCII)
"""The shape of Slack's `ts`: seconds since the epoch, a dot, six digits that keep the messages of a
channel apart (docs.slack.dev/reference/events/message). Nothing else passes a door."""


def ts_position(ts: str) -> int:
    """Where a message stands among those of its channel, as a number: microseconds.

    Raises `ValueError` for what is no `ts`.
    """
    shape = TS_PATTERN.fullmatch(ts)
    if shape is None:
        raise ValueError(f"not the ts of a Slack message: {ts!r}")
    return int(shape[1]) * 1_000_000 + int(shape[2])


def ts_from_position(position: int) -> str:
    """The `ts` at a position: `ts_position` the other way."""
    return f"{position // 1_000_000}.{position % 1_000_000:06d}"


def strip_unstorable(text: str) -> str:
    """`text` without what no database or model takes: NULs go, and half characters (lone
    surrogates, which JSON can carry and UTF-8 cannot) become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadKey:
    """Which Slack thread: the one address that every outgoing call and every session hangs on.

    `root_ts` is Slack's `thread_ts`, or the message's own `ts` where it starts a thread.
    """

    team: str
    channel: str
    root_ts: str

    def session_id(self, generation: int = 0) -> str:
        """The runtime's id of this thread's session; `generation` counts the resets.

        The runtime takes `[A-Za-z0-9_-]{1,250}` only (measured, CLI 1.0.102).
        """
        name = f"slack-{self.team}-{self.channel}-{self.root_ts.replace('.', '-')}"
        return name if generation == 0 else f"{name}-{generation}"

    def __str__(self) -> str:
        return f"{self.team}/{self.channel}/{self.root_ts}"


class Trigger(StrEnum):
    """Why a message may be the bot's business."""

    MENTION = "mention"
    """The bot is mentioned."""
    DIRECT = "direct"
    """Written in a direct message with the bot."""
    FOLLOW_UP = "follow_up"
    """Written without a mention in a thread; the bot's business while the thread is two-party."""
    OVERHEARD = "aside"
    """Written in a thread to somebody else: never answered, but its author takes part."""
    COMMAND = "command"
    """Asked by a slash command, a shortcut or a modal; the bot posted the thread's root itself."""
    BOT = "bot"
    """Said by another bot in a thread: recorded as heard, and nothing more."""
    BOT_MENTION = "bot_mention"
    """The bot is mentioned by another bot, one of those that are answered."""
    REPLY_ACTION = "menu"
    """Asked by a button under a reply; there is no message of its own, `ts` is the press's."""


MAX_CONSECUTIVE_BOT_TURNS: Final = 3
"""So many messages of other bots in a row are answered in a thread; then a person has to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """How a message wants to be answered, where that is not in the usual way."""

    role: str = ""
    """Which of the thread's sessions is asked; "" is the main one."""
    model: str = ""
    """The model for this turn alone."""
    retry_of: int = 0
    """The turn that is to be answered anew: its session forgets it and all that came after it."""
    compare_models: tuple[str, ...] = ()
    """The models whose answers are to be compared."""
    show_names: bool = False
    """Whether a comparison shows the models' names at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person wrote, as the bot understood it at the door."""

    event_id: str
    """Slack's id of the event: the same in every redelivery."""
    thread: ThreadKey
    ts: str
    """Slack's id of the message in its channel, sortable as a number; unique per channel."""
    user: str
    user_team: str
    """The workspace of the person, which in a shared channel is not `thread.team`."""
    text: str
    """Plain readable text: entities unescaped, the bot's own mention taken out, edges stripped."""
    trigger: Trigger
    command_text: str = field(default="", compare=False)
    """The same with people and channels by their ids, where that is known: what orders go by. It is
    not recorded; by then it is known whether the message is one."""
    external: bool = False
    """Whether the person belongs to another workspace (Slack Connect)."""
    direct: bool = False
    """Whether the channel is a direct message with the bot."""
    options: MessageOptions = MessageOptions()

    @property
    def starts_thread(self) -> bool:
        return self.ts == self.thread.root_ts


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What the database knows of a thread."""

    key: ThreadKey
    participants: frozenset[str]
    """Slack user ids of those who take part, the bot not counted."""
    participants_known: bool
    """False while people may have written before the bot was first called into the thread."""


# What a session says while it answers ----------------------------------------------------------
