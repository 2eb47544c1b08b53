"""Formats numbers, times, pages and long texts for users, the same way everywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.commands.registry import COMMANDS
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button
from bot.domain.sessions import SessionRecord
from bot.domain.text import truncate

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_BLOCK_MARKUP: Final = re.compile(r"^[ \t]*(?:(?:```|~~~).*|#{2,6}[ \t]+)", re.MULTILINE)
_BOLD: Final = re.compile(r"\*\*(\S[^*\n]*)\*\*")
_AGE_UNITS: Final = (
    (365 * _DAY, "y"),
    (30 * _DAY, "mo"),
    (_DAY, "d"),
    (_HOUR, "h"),
    (_MINUTE, "min"),
)
_SIZE_UNITS: Final = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))
_CONTROL_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Characters that change the direction of the following text, even outside of their own.
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Invisible characters, with which two names look alike. Joiners of emoji are not among them.
_INVISIBLE: Final = frozenset("\u00ad\u180e\u200b\u2060\u2061\u2062\u2063\u2064\ufeff")


def format_age(seconds: float) -> str:
    """An age in seconds as text: `3 d ago`."""
    for length, name in _AGE_UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {name} ago"
    return "just now"


def format_size(num_bytes: int) -> str:
    """A size in bytes as text: `12 KB`."""
    for unit, name in _SIZE_UNITS:
        if num_bytes >= unit:
            amount = num_bytes / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:,.0f} {name}"
    return f"{num_bytes} B"


def format_count(number: int) -> str:
    """A number with separators: `12,345`."""
    return f"{number:,}"


def pluralize(number: int, noun: str) -> str:
    """A count with its noun: `1 turn`, `2,000 turns`."""
    return f"{format_count(number)} {noun}" if number == 1 else f"{format_count(number)} {noun}s"


def format_time(timestamp: float) -> str:
    """A date and time in UTC: `24 Nov 2026, 05:29 UTC`."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def one_line(text: str) -> str:
    """A text without line breaks and without control, direction and invisible characters."""
    visible = "".join(
        " " if unicodedata.category(character) in _CONTROL_CATEGORIES else character
        for character in text
        if character not in _BIDI_CONTROLS and character not in _INVISIBLE
    )
    return " ".join(visible.split())


def strip_markdown(markdown: str) -> str:
    """A few lines of Markdown without the marks of code blocks, headings and bold text."""
    return _BOLD.sub(r"\1", _BLOCK_MARKUP.sub("", markdown))


_PAGE_PATTERN: Final = re.compile(r"(?:page +)?([0-9]{1,6})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of a list, counted from 1."""

    total: int
    """Number of items in the whole list."""
    per_page: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.per_page))

    def nearest(self, page: int) -> int:
        """The page, or the nearest one that exists."""
        return min(max(page, 1), self.last)

    def offset(self, page: int) -> int:
        """The number of items before a page."""
        return (page - 1) * self.per_page

    def label(self, page: int, template: str) -> str:
        """The `template` with `page` and `last` filled in, or "" if there is only one page."""
        return (
            template.format(page=format_count(page), last=format_count(self.last))
            if self.last > 1
            else ""
        )


def parse_page(args: str) -> int | None:
    """The page in `2` or `page 2`; None for anything else."""
    match = _PAGE_PATTERN.fullmatch(args.strip())
    return int(match[1]) if match else None


def page_buttons(
    command_name: str,
    pages: Pages,
    page: int,
    labels: tuple[str, str],
    args_for: Callable[[int], str],
) -> tuple[Button, ...]:
    """Buttons to the previous and the next page, as far as these exist.

    `args_for` returns the command's arguments for a page.
    """
    previous_label, next_label = labels
    buttons = []
    if page > 1:
        buttons.append(
            Button(label=previous_label, command_name=command_name, args=args_for(page - 1))
        )
    if page < pages.last:
        buttons.append(Button(label=next_label, command_name=command_name, args=args_for(page + 1)))
    return tuple(buttons)


_MAX_TITLE_CHARS = 120


def usage_hint(command_name: str) -> str:
    """The text for arguments that a command does not take."""
    usage = COMMANDS[command_name].usage
    if not usage:
        return session_texts.USAGE_HINT_PLAIN.format(command=command_name)
    return session_texts.USAGE_HINT.format(command=command_name, usage=usage)


def display_title(session: SessionRecord) -> str:
    """A session's title, on one line."""
    return truncate(one_line(session.title), _MAX_TITLE_CHARS) or session_texts.UNTITLED
