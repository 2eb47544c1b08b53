"""What the bot was told to do, and what those in charge did; and questions on their way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.messages import ThreadKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingQuestion:
    """A question asked by command, button or shortcut, until it is a message in its channel."""

    event_id: str
    """Of the message that it becomes: the same if it is sent again."""
    team: str
    channel: str
    root_ts: str
    """The thread that it belongs to; "" for one of its own."""
    user: str
    user_team: str
    text: str
    """What the model is asked."""
    mrkdwn: str
    """How it stands in the channel, in Slack's own markup."""
    asked_at: float
    """Seconds since the epoch."""


class CommandSource(StrEnum):
    """How an order was given."""

    SLASH_COMMAND = "command"
    """By the slash command, from anywhere in a channel."""
    MESSAGE = "message"
    """By a message that is nothing but the order."""
    BUTTON = "button"
    """By a button, a menu or a list under a message."""
    HOME_TAB = "home"
    """By a button or a list on the Home tab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something that the bot was told to do by one of its verbs (`bot.commands.registry`)."""

    key: str
    """Slack's id of the order, the same if it is repeated."""
    name: str
    args: str
    """What was said after the verb."""
    user: str
    """Slack user id."""
    source: CommandSource
    team: str
    """The workspace of the bot."""
    channel: str = ""
    """Where it was given; "" on the Home tab and in the shell."""
    thread: ThreadKey | None = None
    """The thread in which it was given, or that its button is about."""
    ts: str = ""
    """The message that gave the order, where one did."""
    turn: int | None = None
    """The turn that it is about, where its button stands under a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadHold:
    """The place of an order in its threads: what is written there later waits until it is carried
    out."""

    threads: frozenset[ThreadKey]
    position: int
    """As `bot.domain.messages.ts_position`: of the message that gave the order, else of when it
    came in."""
    expires_at: float
    """Seconds since the epoch; then nothing waits for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that was done by somebody in charge."""

    id: int
    at: float
    actor: str
    action: str
    """The verb, as people type it: `admin cleanup`."""
    target: str
    detail: str
