"""How numbers, times and long texts are told to people: short, and the same everywhere."""

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
# Characters that turn the direction of what follows them, also outside of the text itself.
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Characters that nobody sees, with which two names look alike; those that join emoji stay.
_INVISIBLE: Final = frozenset("\u00ad\u180e\u200b\u2060\u2061\u2062\u2063\u2064\ufeff")


def format_age(seconds: float) -> str:
    """How long ago something was: `3 d ago`."""
    for length, name in _AGE_UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {name} ago"
    return "just now"


def format_size(num_bytes: int) -> str:
    """How much space something takes: `12 KB`."""
    for unit, name in _SIZE_UNITS:
        if num_bytes >= unit:
            amount = num_bytes / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:,.0f} {name}"
    return f"{num_bytes} B"


def format_count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def pluralize(number: int, noun: str) -> str:
    """A number of things: `1 turn`, `2,000 turns`."""
    return f"{format_count(number)} {noun}" if number == 1 else f"{format_count(number)} {noun}s"


def format_time(timestamp: float) -> str:
    """A time on the calendar, in UTC: `24 Nov 2026, 05:29 UTC`."""
    told = datetime.fromtimestamp(timestamp, UTC)
    return f"{told.day} {told:%b %Y, %H:%M} UTC"


def one_line(text: str) -> str:
    """A text without line breaks, control characters, what turns the writing direction and what
    nobody sees."""
    seen = "".join(
        " " if unicodedata.category(character) in _CONTROL_CATEGORIES else character
        for character in text
        if character not in _BIDI_CONTROLS and character not in _INVISIBLE
    )
    return " ".join(seen.split())


def strip_markdown(markdown: str) -> str:
    """A few lines of Markdown without the marks of code blocks, headings and strong words, which
    would stand there as they are."""
    return _BOLD.sub(r"\1", _BLOCK_MARKUP.sub("", markdown))


_PAGE_PATTERN: Final = re.compile(r"(?:page +)?([0-9]{1,6})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """A list cut into pages, counted from 1."""

    total: int
    """Things in the whole list."""
    per_page: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.per_page))

    def nearest(self, page: int) -> int:
        """The page, or the nearest one that there is."""
        return min(max(page, 1), self.last)

    def offset(self, page: int) -> int:
        """How many things stand before a page."""
        return (page - 1) * self.per_page

    def label(self, page: int, template: str) -> str:
        """`how` with the `page` and the `last` one; "" where there is only one."""
        return (
            template.format(page=format_count(page), last=format_count(self.last))
            if self.last > 1
            else ""
        )


def parse_page(args: str) -> int | None:
    """The page in `2` or `page 2`; None for anything else."""
    found = _PAGE_PATTERN.fullmatch(args.strip())
    return int(found[1]) if found else None


def page_buttons(
    command_name: str,
    pages: Pages,
    page: int,
    labels: tuple[str, str],
    args_for: Callable[[int], str],
) -> tuple[Button, ...]:
    """Buttons to the page before and the page after, where there are such; `words` says what is to
    be ordered for a page."""
    before, after = labels
    presses = []
    if page > 1:
        presses.append(Button(label=before, command_name=command_name, args=args_for(page - 1)))
    if page < pages.last:
        presses.append(Button(label=after, command_name=command_name, args=args_for(page + 1)))
    return tuple(presses)


_MAX_TITLE_CHARS = 120


def usage_hint(command_name: str) -> str:
    """The sentence for words that a verb does not take."""
    usage = COMMANDS[command_name].usage
    if not usage:
        return session_texts.USAGE_HINT_PLAIN.format(verb=command_name)
    return session_texts.USAGE_HINT.format(verb=command_name, usage=usage)


def display_title(session: SessionRecord) -> str:
    """A session's title, on one line."""
    return truncate(one_line(session.title), _MAX_TITLE_CHARS) or session_texts.UNTITLED
