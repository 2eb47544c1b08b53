"""Defines the cards that answer a command, independent of where they are shown.

Every text in a card is plain: the renderer escapes it. A button carries the same command that a
user can type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.domain.messages import ThreadKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button that runs `command_name` with `args`."""

    label: str
    command_name: str
    args: str = ""
    style: Literal["", "primary", "danger"] = ""
    confirm: str = ""
    """The question of the confirmation dialog, or an empty string for none."""
    turn: int | None = None
    """The turn that the command is about, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A select menu. Choosing an option runs `command_name` with `args` and the option's value."""

    label: str
    command_name: str
    args: str
    options: tuple[tuple[str, str], ...]
    """Pairs of label and value, 1 to 100 of them."""
    selected: str = ""
    """The value that is selected at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardItem:
    """One entry of a list."""

    text: str
    detail: str = ""
    """Small print below the text."""
    link: ThreadKey | None = None
    """The thread that the text links to."""
    buttons: tuple[Button, ...] = ()
    """At most five; a single one is shown beside the text."""
    select: Select | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A message with a title, a list and buttons. `text` says everything if only text can be
    shown."""

    text: str
    title: str = ""
    items: tuple[CardItem, ...] = ()
    """At most ten are shown."""
    buttons: tuple[Button, ...] = ()
    small_print: str = ""
    """Small print at the end."""
    link: ThreadKey | None = None
    """A thread that the card links to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyActions:
    """What is shown under a reply: buttons, a menu, small print."""

    buttons: tuple[Button, ...] = ()
    """At most six."""
    menu: tuple[Button, ...] = ()
    """At most five."""
    small_print: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The result of a command."""

    card: Card
    public: bool = False
    """True if the whole thread sees the card, False if only the author of the command does."""
    silent: bool = False
    """True if no card is shown, because the result is visible in itself."""


SILENT = CommandResult(card=Card(text=""), silent=True)


def text_result(text: str, *, public: bool = False) -> CommandResult:
    """A result of one sentence."""
    return CommandResult(card=Card(text=text), public=public)
