"""Defines commands, the audit entries of admin commands, and pending questions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.messages import ThreadKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingQuestion:
    """A question asked by command, button or shortcut, until it is a message in its channel."""

    event_id: str
    """The event id of the future message: the same if the question is sent again."""
    team: str
    channel: str
    root_ts: str
    """The thread of the question; "" for a new one."""
    user: str
    user_team: str
    text: str
    """The prompt for the model."""
    mrkdwn: str
    """How the channel shows it, in Slack's mrkdwn."""
    created_at: float
    """Seconds since the epoch."""


class CommandSource(StrEnum):
    """Where a command came from."""

    SLASH_COMMAND = "command"
    """A slash command, from anywhere in a channel."""
    MESSAGE = "message"
    """A message that contains nothing but the command."""
    BUTTON = "button"
    """A button or menu under a message."""
    HOME_TAB = "home"
    """A button or menu on the Home tab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a user (`bot.commands.registry`)."""

    key: str
    """Slack's id of the command, the same in a redelivery."""
    name: str
    args: str
    """The text after the command name."""
    user: str
    """Slack user id."""
    source: CommandSource
    team: str
    """The workspace of the bot."""
    channel: str = ""
    """The channel of the command; "" on the Home tab and in the shell."""
    thread: ThreadKey | None = None
    """The thread of the command, or the one that its button is about."""
    ts: str = ""
    """The message that contains the command, or ""."""
    turn: int | None = None
    """The id of the turn that it is about, if its button is under a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadHold:
    """The position of a command in its threads. Later messages there wait until it has run."""

    threads: frozenset[ThreadKey]
    position: int
    """The position of the message with the command, else of the time of receipt, as
    `bot.domain.messages.ts_position`."""
    expires_at: float
    """Seconds since the epoch. After this time no turn waits for the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An action of an admin."""

    id: int
    at: float
    actor: str
    action: str
    """The command name as users type it: `admin cleanup`."""
    target: str
    detail: str
