"""What is said to the database about what those in charge did. The database itself refuses to
change an entry or to take one off."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bot.model import storable
from bot.records import AuditEntry
from bot.store.database import rows

_ADD = "INSERT INTO audit (at, by, act, target, detail) VALUES (?, ?, ?, ?, ?)"
_PAGE = "SELECT id, at, by, act, target, detail FROM audit ORDER BY id DESC LIMIT ? OFFSET ?"


def audit(
    database: sqlite3.Connection, now: float, by: str, act: str, target: str, detail: str
) -> None:
    """Add an entry."""
    rows(database, _ADD, (now, *(storable(text) for text in (by, act, target, detail))))


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
