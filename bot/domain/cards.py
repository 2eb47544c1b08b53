"""What people are shown in answer to an order, whichever surface shows it.

Every text in a card is plain: whoever draws the card makes it inert. Buttons carry an order, the
same that could be typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.domain.messages import ThreadKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button: pressing it orders `verb` with `words`."""

    label: str
    command_name: str
    args: str = ""
    style: Literal["", "primary", "danger"] = ""
    confirm: str = ""
    """What is asked before it counts; "" where it counts at once."""
    turn: int | None = None
    """The turn that the order is about, where it is about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A list to choose one of: choosing orders `verb` with `words` and the option's value."""

    label: str
    command_name: str
    args: str
    options: tuple[tuple[str, str], ...]
    """(what is shown, value), 1 to 100 of them."""
    selected: str = ""
    """The value that stands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardItem:
    """One thing of a list."""

    text: str
    detail: str = ""
    """Set smaller below the text."""
    link: ThreadKey | None = None
    """Where the text leads to."""
    buttons: tuple[Button, ...] = ()
    """At most five; a single one stands beside the text."""
    select: Select | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is shown. `text` alone tells it all where nothing else can be drawn."""

    text: str
    title: str = ""
    items: tuple[CardItem, ...] = ()
    """At most ten are drawn."""
    buttons: tuple[Button, ...] = ()
    small_print: str = ""
    """A note at the end."""
    link: ThreadKey | None = None
    """A thread that the card leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyActions:
    """What stands under a reply: buttons, a menu, small print."""

    buttons: tuple[Button, ...] = ()
    """At most six."""
    menu: tuple[Button, ...] = ()
    """At most five."""
    small_print: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What comes of an order."""

    card: Card
    public: bool = False
    """Whether the whole thread is told, or only who gave the order."""
    silent: bool = False
    """Whether nobody is told: what comes of it shows by itself."""


SILENT = CommandResult(card=Card(text=""), silent=True)


def text_result(text: str, *, public: bool = False) -> CommandResult:
    """An outcome of one sentence."""
    return CommandResult(card=Card(text=text), public=public)
