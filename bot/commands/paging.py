"""Pages of long lists: which one was asked for, and the buttons to the ones beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.commands.formatting import count
from bot.domain.cards import Press

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
