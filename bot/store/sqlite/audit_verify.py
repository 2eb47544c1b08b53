"""Was anything changed in the audit? For `threadpilot audit verify`; what holds it together stands
in `bot.store.sqlite.audit`.

Only looks, and does not mind a bot that is running.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.domain.checks import Check
from bot.store.sqlite.audit import Chain, Tear, verify
from bot.store.sqlite.checks import opened_to_look
from bot.store.sqlite.connection import store_error
from bot.store.sqlite.data_dir import DATABASE
from bot.store.sqlite.migrations.v3_audit_chain import THIRD
from bot.store.sqlite.schema import MIGRATIONS

WHOLE: Final = (
    "The audit is whole: {count} entries, none changed, none taken out.\n"
    "Newest hash: {newest}\n"
    "Keep it outside of this machine. That nothing is cut off the end, or made anew from some "
    "entry on, can be seen only by it:\n"
    "  threadpilot audit verify --expect {newest}"
)
EMPTY: Final = "The audit is whole: nothing has been put on it yet."
EXPECTED: Final = "The hash that you expect is in it."
NOT_EXPECTED: Final = (
    "The audit holds together ({count} entries), but the hash that you expect is not in it: "
    "entries were cut off its end, or made anew."
)
CHANGED: Final = (
    "Entry {number} does not fit: it was changed, put in, or made to follow other entries than it "
    "did. The {count} before it are as they were."
)
GONE: Final = "Entry {number} is gone. The {count} before it are as they were."
NO_DATABASE: Final = "There is no database in {folder}: is DATA_DIR right?"
NOT_CHAINED: Final = (
    "The audit of this database is not chained yet (schema {schema}): the bot's next start does "
    "that."
)
TOO_NEW: Final = (
    "The database was written by a newer Threadpilot (schema {schema}): verify it with that one."
)
UNREADABLE: Final = "The audit cannot be read: {why}"


def check_audit(folder: Path, expected: str = "") -> Check:
    """Read through the audit; `expected` is a hash that has to be among those of its entries.
    Blocks."""
    file = folder / DATABASE
    if not file.is_file():
        return Check(ok=False, sentence=NO_DATABASE.format(folder=folder))
    try:
        with closing(opened_to_look(file)) as database:
            database.isolation_level = None
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema < THIRD.number:
                return Check(ok=False, sentence=NOT_CHAINED.format(schema=schema))
            if schema > MIGRATIONS[-1].number:
                return Check(ok=False, sentence=TOO_NEW.format(schema=schema))
            return _told(verify(database, expected), expected)
    except sqlite3.Error as error:
        return Check(ok=False, sentence=UNREADABLE.format(why=store_error(error)))


def _told(chain: Chain, expected: str) -> Check:
    if chain.tear is not None:
        sentence = GONE if chain.tear is Tear.GONE else CHANGED
        number = chain.count + 1
        return Check(ok=False, sentence=sentence.format(number=number, count=chain.count))
    if expected and not chain.has_expected:
        return Check(ok=False, sentence=NOT_EXPECTED.format(count=chain.count))
    if not chain.count:
        return Check(ok=True, sentence=EMPTY)
    whole = WHOLE.format(count=chain.count, newest=chain.newest)
    return Check(ok=True, sentence=f"{whole}\n{EXPECTED}" if expected else whole)
