"""What is said to the database about what those in charge did. The database itself refuses to
change an entry or to take one off, and each carries a hash over the one before it
(`bot.store.sqlite.audit`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain import AuditEntry
from bot.domain.messages import storable
from bot.store.sqlite.audit import BEFORE_THE_FIRST, GIVEN, link
from bot.store.sqlite.connection import rows

# Its id is part of what is hashed, so it is given here; it is the one that SQLite would give.
_ADD: Final = """
    INSERT INTO audit (id, at, by, act, target, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
NEWEST: Final = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1"
_PAGE: Final = "SELECT id, at, by, act, target, detail FROM audit ORDER BY id DESC LIMIT ? OFFSET ?"


def audit(
    database: sqlite3.Connection, now: float, by: str, act: str, target: str, detail: str
) -> None:
    """Add an entry."""
    words = tuple(storable(text) for text in (by, act, target, detail))
    ((given,),) = rows(database, GIVEN)
    newest = rows(database, NEWEST)
    before = newest[0][0] if newest else BEFORE_THE_FIRST
    number = int(given) + 1
    now = float(now)
    rows(database, _ADD, (number, now, *words, link(before, number, now, *words)))


def audited(
    database: sqlite3.Connection, offset: int, limit: int
) -> tuple[Sequence[AuditEntry], int]:
    """Entries, newest first, and how many there are."""
    ((total,),) = rows(database, "SELECT count(*) FROM audit")
    entries = tuple(
        AuditEntry(id=number, at=at, by=by, act=act, target=target, detail=detail)
        for number, at, by, act, target, detail in rows(database, _PAGE, (limit, offset))
    )
    return entries, int(total)
