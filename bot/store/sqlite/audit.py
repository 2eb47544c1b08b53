"""Appends and verifies audit entries, which form a chain of hashes.

The hash of an entry is the SHA-256, in hexadecimal, of this text in ASCII: the JSON array

    [hash of the entry before it, id, at, by, act, target, detail]

The array has no spaces. Every character outside of ASCII is written as `\\uXXXX`, numbers as
Python's `json` writes them (`1790000000.0`), and `""` for the hash before the first entry. Ids
count from 1 without a gap. This encoding never changes, or recorded hashes would not fit any more.

Changing, removing or inserting an entry breaks the chain, even after the triggers of the database
are dropped. An attacker who can write the file can compute all hashes from some entry on again, or
cut entries off the end. Only a hash that is kept elsewhere reveals that.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.domain.commands import AuditEntry
from bot.domain.messages import strip_unstorable
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

GENESIS_HASH: Final = ""
_ENTRIES: Final = "SELECT id, at, by, act, target, detail, hash FROM audit ORDER BY id"
HIGHEST_ID: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'"
"""The highest id that an entry was ever given."""


class ChainBreak(StrEnum):
    """What is wrong with the first entry that does not fit."""

    CHANGED = "changed"
    """The entry, or the hash before it, was changed."""
    GONE = "gone"
    """The entry is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """The result of verifying the audit log."""

    valid_count: int
    """Number of valid entries, from the first one on."""
    newest_hash: str
    """The hash of the last valid entry, or ""."""
    first_break: ChainBreak | None
    """What is wrong with the next entry; None if the chain is complete."""
    has_expected: bool
    """True if a valid entry has the expected hash."""


def entry_hash(
    previous_hash: str, number: int, at: float, actor: str, action: str, target: str, detail: str
) -> str:
    """The hash of an entry that follows the one with the hash `previous_hash`."""
    content = json.dumps(
        [previous_hash, number, at, actor, action, target, detail], separators=(",", ":")
    )
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def hash_all_entries(database: sqlite3.Connection) -> None:
    """Give every entry its hash: for entries older than the chain."""
    previous = GENESIS_HASH
    for row in fetch_all(database, _ENTRIES):
        number, at, actor, action, target, detail, _ = row
        previous = entry_hash(previous, number, at, actor, action, target, detail)
        database.execute("UPDATE audit SET hash = ? WHERE id = ?", (previous, number))


def verify_chain(database: sqlite3.Connection, expected: str = "") -> ChainReport:
    """Read the whole audit log in one snapshot. Changes nothing."""
    # Bytes that are no valid text are a change like any other, and must not prevent the report.
    database.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
    database.execute("BEGIN")
    try:
        return _verify_entries(database, expected)
    finally:
        database.execute("ROLLBACK")


def _verify_entries(database: sqlite3.Connection, expected: str) -> ChainReport:
    count, newest, has_expected = 0, GENESIS_HASH, False
    found: ChainBreak | None = None
    with closing(database.execute(_ENTRIES)) as entries:
        for number, at, actor, action, target, detail, stored in entries:
            if number > count + 1:
                found = ChainBreak.GONE
            elif stored != entry_hash(newest, number, at, actor, action, target, detail):
                found = ChainBreak.CHANGED
            if found is not None:
                break
            count, newest = number, stored
            has_expected = has_expected or stored == expected
    if found is None and fetch_all(database, HIGHEST_ID) != [(count,)]:
        found = ChainBreak.GONE
    return ChainReport(
        valid_count=count, newest_hash=newest, first_break=found, has_expected=has_expected
    )


# The id is part of what is hashed, so it is set here; it is the one that SQLite would assign.
_INSERT_ENTRY: Final = """
    INSERT INTO audit (id, at, by, act, target, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


NEWEST_HASH: Final = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1"


_LIST_ENTRIES: Final = (
    "SELECT id, at, by, act, target, detail FROM audit ORDER BY id DESC LIMIT ? OFFSET ?"
)


def append_entry(
    database: sqlite3.Connection, now: float, actor: str, action: str, target: str, detail: str
) -> None:
    """Append an entry."""
    texts = tuple(strip_unstorable(text) for text in (actor, action, target, detail))
    ((highest,),) = fetch_all(database, HIGHEST_ID)
    newest = fetch_all(database, NEWEST_HASH)
    previous = newest[0][0] if newest else GENESIS_HASH
    number = int(highest) + 1
    now = float(now)
    fetch_all(
        database, _INSERT_ENTRY, (number, now, *texts, entry_hash(previous, number, now, *texts))
    )


class AuditQueries(Queries):
    """Queries for the audit log: `bot.ports.AuditStore`."""

    @write
    def add_audit_entry(
        self,
        database: sqlite3.Connection,
        actor: str,
        action: str,
        target: str,
        detail: str = "",
    ) -> None:
        append_entry(database, self._clock.now(), actor, action, target, detail)

    @read
    def list_audit_entries(
        self, database: sqlite3.Connection, offset: int, limit: int
    ) -> tuple[Sequence[AuditEntry], int]:
        ((total,),) = fetch_all(database, "SELECT count(*) FROM audit")
        entries = tuple(
            AuditEntry(id=number, at=at, actor=actor, action=action, target=target, detail=detail)
            for number, at, actor, action, target, detail in fetch_all(
                database, _LIST_ENTRIES, (limit, offset)
            )
        )
        return entries, int(total)
