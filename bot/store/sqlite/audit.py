"""The chain that the audit's entries make: each carries a hash over itself and the one before it.

The hash of an entry is the SHA-256, in hexadecimal, of this text in ASCII: the JSON array

    [hash of the entry before it, id, at, by, act, target, detail]

without spaces, every character outside of ASCII written as `\\uXXXX`, numbers as Python's `json`
writes them (`1790000000.0`), and `""` for the hash before the first entry. Ids count from 1 without
a gap. Hashes that are on record cannot be made anew: this encoding never changes.

Whoever changes an entry, takes one out or puts one in between breaks the chain, also where the
database's own triggers were taken off first. Whoever can write the file can make all hashes from
some entry on anew, or cut entries off its end: that is noticed only with a hash that was kept
elsewhere.
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
    """It, or the hash of the one before it, is not what it was."""
    GONE = "gone"
    """It is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What was found in the audit."""

    valid_count: int
    """How many entries fit, from the first one on."""
    newest_hash: str
    """The hash of the last of them; "" where there is none."""
    first_break: ChainBreak | None
    """What is wrong with the next one; None where the chain holds to its end."""
    has_expected: bool
    """Whether the hash that was asked for is that of an entry that fits."""


def entry_hash(
    previous_hash: str, number: int, at: float, actor: str, action: str, target: str, detail: str
) -> str:
    """The hash of an entry that follows the one whose hash is `before`."""
    content = json.dumps(
        [previous_hash, number, at, actor, action, target, detail], separators=(",", ":")
    )
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def hash_all_entries(database: sqlite3.Connection) -> None:
    """Give every entry its hash: for entries from before there was a chain."""
    before = GENESIS_HASH
    for row in fetch_all(database, _ENTRIES):
        number, at, by, act, target, detail, _ = row
        before = entry_hash(before, number, at, by, act, target, detail)
        database.execute("UPDATE audit SET hash = ? WHERE id = ?", (before, number))


def verify_chain(database: sqlite3.Connection, expected: str = "") -> ChainReport:
    """Read through the whole audit, as it stands at one moment. Changes nothing."""
    # Bytes that are no text are a change like any other, and must not keep it from being named.
    database.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
    database.execute("BEGIN")
    try:
        return _verify_entries(database, expected)
    finally:
        database.execute("ROLLBACK")


def _verify_entries(database: sqlite3.Connection, expected: str) -> ChainReport:
    count, newest, has_expected = 0, GENESIS_HASH, False
    tear: ChainBreak | None = None
    with closing(database.execute(_ENTRIES)) as entries:
        for number, at, by, act, target, detail, found in entries:
            if number > count + 1:
                tear = ChainBreak.GONE
            elif found != entry_hash(newest, number, at, by, act, target, detail):
                tear = ChainBreak.CHANGED
            if tear is not None:
                break
            count, newest = number, found
            has_expected = has_expected or found == expected
    if tear is None and fetch_all(database, HIGHEST_ID) != [(count,)]:
        tear = ChainBreak.GONE
    return ChainReport(
        valid_count=count, newest_hash=newest, first_break=tear, has_expected=has_expected
    )


# Its id is part of what is hashed, so it is given here; it is the one that SQLite would give.
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
    """Add an entry."""
    words = tuple(strip_unstorable(text) for text in (actor, action, target, detail))
    ((given,),) = fetch_all(database, HIGHEST_ID)
    newest = fetch_all(database, NEWEST_HASH)
    before = newest[0][0] if newest else GENESIS_HASH
    number = int(given) + 1
    now = float(now)
    fetch_all(
        database, _INSERT_ENTRY, (number, now, *words, entry_hash(before, number, now, *words))
    )


class AuditQueries(Queries):
    """`bot.ports.AuditStore`."""

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
            AuditEntry(id=number, at=at, actor=by, action=act, target=target, detail=detail)
            for number, at, by, act, target, detail in fetch_all(
                database, _LIST_ENTRIES, (limit, offset)
            )
        )
        return entries, int(total)
