"""How numbers, times and long texts are told to people: short, and the same everywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.commands.registry import VERBS
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Press
from bot.domain.sessions import SessionRecord

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_MARKS: Final = re.compile(r"^[ \t]*(?:(?:```|~~~).*|#{2,6}[ \t]+)", re.MULTILINE)
_STRONG: Final = re.compile(r"\*\*(\S[^*\n]*)\*\*")
_AGES: Final = ((365 * _DAY, "y"), (30 * _DAY, "mo"), (_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"))
_SIZES: Final = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Characters that turn the direction of what follows them, also outside of the text itself.
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Characters that nobody sees, with which two names look alike; those that join emoji stay.
_HIDDEN: Final = frozenset("\u00ad\u180e\u200b\u2060\u2061\u2062\u2063\u2064\ufeff")


def age(seconds: float) -> str:
    """How long ago something was: `3 d ago`."""
    for length, name in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {name} ago"
    return "just now"


def size(octets: int) -> str:
    """How much space something takes: `12 KB`."""
    for unit, name in _SIZES:
        if octets >= unit:
            amount = octets / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:,.0f} {name}"
    return f"{octets} B"


def count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def many(number: int, thing: str) -> str:
    """A number of things: `1 turn`, `2,000 turns`."""
    return f"{count(number)} {thing}" if number == 1 else f"{count(number)} {thing}s"


def when(moment: float) -> str:
    """A time on the calendar, in UTC: `24 Nov 2026, 05:29 UTC`."""
    told = datetime.fromtimestamp(moment, UTC)
    return f"{told.day} {told:%b %Y, %H:%M} UTC"


def one_line(text: str) -> str:
    """A text without line breaks, control characters, what turns the writing direction and what
    nobody sees."""
    seen = "".join(
        " " if unicodedata.category(character) in _UNSEEN else character
        for character in text
        if character not in _TURNING and character not in _HIDDEN
    )
    return " ".join(seen.split())


def unmarked(markdown: str) -> str:
    """A few lines of Markdown without the marks of code blocks, headings and strong words, which
    would stand there as they are."""
    return _STRONG.sub(r"\1", _MARKS.sub("", markdown))


def clipped(text: str, most: int) -> str:
    """At most so many characters of a text, with a mark where something was left out."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


_PAGE: Final = re.compile(r"(?:page +)?([0-9]{1,6})", re.ASCII | re.IGNORECASE)


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

    def said(self, page: int, how: str) -> str:
        """`how` with the `page` and the `last` one; "" where there is only one."""
        return how.format(page=count(page), last=count(self.last)) if self.last > 1 else ""


def page_in(words: str) -> int | None:
    """The page in `2` or `page 2`; None for anything else."""
    found = _PAGE.fullmatch(words.strip())
    return int(found[1]) if found else None


def pager(
    verb: str, pages: Pages, page: int, labels: tuple[str, str], words: Callable[[int], str]
) -> tuple[Press, ...]:
    """Buttons to the page before and the page after, where there are such; `words` says what is to
    be ordered for a page."""
    before, after = labels
    presses = []
    if page > 1:
        presses.append(Press(label=before, verb=verb, words=words(page - 1)))
    if page < pages.last:
        presses.append(Press(label=after, verb=verb, words=words(page + 1)))
    return tuple(presses)


_TITLE = 120


def how_it_goes(verb: str) -> str:
    """The sentence for words that a verb does not take."""
    usage = VERBS[verb].usage
    if not usage:
        return session_texts.HOW_PLAIN.format(verb=verb)
    return session_texts.HOW.format(verb=verb, usage=usage)


def titled(session: SessionRecord) -> str:
    """A session's title, on one line."""
    return clipped(one_line(session.title), _TITLE) or session_texts.UNTITLED
