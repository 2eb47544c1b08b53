"""Defines messages, threads and Slack timestamps.

`bot.slack`, `bot.copilot` and `bot.store` turn foreign payloads into these values. No other package
sees a raw payload of Slack or of the SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TS_PATTERN: Final = re.compile(r"([0-9]{1,12})\.([0-9]{6})", re.ASCII)
"""The format of Slack's `ts`: seconds since the epoch, a dot, and six digits that distinguish the
messages of a channel (docs.slack.dev/reference/events/message). Any other value is rejected on
receipt."""


def ts_position(ts: str) -> int:
    """The position of a message among those of its channel, in microseconds.

    Raises `ValueError` if `ts` is malformed.
    """
    shape = TS_PATTERN.fullmatch(ts)
    if shape is None:
        raise ValueError(f"not the ts of a Slack message: {ts!r}")
    return int(shape[1]) * 1_000_000 + int(shape[2])


def ts_from_position(position: int) -> str:
    """The `ts` at a position; the inverse of `ts_position`."""
    return f"{position // 1_000_000}.{position % 1_000_000:06d}"


def strip_unstorable(text: str) -> str:
    """`text` without what a database or a model rejects. NULs are removed, and lone surrogates,
    which JSON can carry and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadKey:
    """The address of a Slack thread, for outgoing calls and for sessions.

    `root_ts` is Slack's `thread_ts`, or the message's own `ts` if it starts a thread.
    """

    team: str
    channel: str
    root_ts: str

    def session_id(self, generation: int = 0) -> str:
        """The runtime's id of this thread's session; `generation` counts the resets.

        The runtime accepts `[A-Za-z0-9_-]{1,250}` only (measured, CLI 1.0.102).
        """
        name = f"slack-{self.team}-{self.channel}-{self.root_ts.replace('.', '-')}"
        return name if generation == 0 else f"{name}-{generation}"

    def __str__(self) -> str:
        return f"{self.team}/{self.channel}/{self.root_ts}"


class Trigger(StrEnum):
    """Why the bot may have to answer a message."""

    MENTION = "mention"
    """It mentions the bot."""
    DIRECT = "direct"
    """It is in a direct message with the bot."""
    FOLLOW_UP = "follow_up"
    """It is in a thread, without a mention; answered while the thread has one participant."""
    OVERHEARD = "aside"
    """It is in a thread and addresses another user: never answered, but its author is a
    participant."""
    POSTED_QUESTION = "command"
    """A slash command, a shortcut or a modal asked it; the bot itself posted the root message."""
    BOT = "bot"
    """Another bot wrote it in a thread; it is recorded only."""
    BOT_MENTION = "bot_mention"
    """Another bot, one of those that are answered, mentions the bot."""
    REPLY_ACTION = "menu"
    """A button under a reply asked it. It has no message of its own; `ts` is that of the click."""


MAX_CONSECUTIVE_BOT_TURNS: Final = 3
"""Maximum number of messages of other bots in a row that are answered in a thread. After them a
user has to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """How to answer a message, if not in the default way."""

    role: str = ""
    """The role of the session that answers; "" is the main one."""
    model: str = ""
    """The model for this turn only."""
    retry_of: int = 0
    """The id of the turn that this one retries. That turn and all later ones leave the history."""
    compare_models: tuple[str, ...] = ()
    """The models whose answers are compared."""
    show_names: bool = False
    """True if a comparison shows the model names from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a user wrote, as the bot parsed it."""

    event_id: str
    """Slack's id of the event: the same in every redelivery."""
    thread: ThreadKey
    ts: str
    """Slack's id of the message in its channel, sortable as a number; unique per channel."""
    user: str
    user_team: str
    """The workspace of the user, which in a shared channel is not `thread.team`."""
    text: str
    """Plain text: entities unescaped, the bot's own mention removed, edges stripped."""
    trigger: Trigger
    command_text: str = field(default="", compare=False)
    """The same with users and channels as ids, if known, for parsing commands. It is not recorded:
    by then it is known whether the message is a command."""
    external: bool = False
    """True if the user belongs to another workspace (Slack Connect)."""
    direct: bool = False
    """True if the channel is a direct message with the bot."""
    options: MessageOptions = MessageOptions()

    @property
    def starts_thread(self) -> bool:
        return self.ts == self.thread.root_ts


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What the store knows of a thread."""

    key: ThreadKey
    participants: frozenset[str]
    """Slack user ids of the participants, without the bot."""
    participants_known: bool
    """False while users may have written before the bot was first mentioned in the thread."""
