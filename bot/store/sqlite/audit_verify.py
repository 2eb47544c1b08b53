"""Verifies the audit log, for `threadpilot audit verify`.

`bot.store.sqlite.audit` defines the chain. This changes nothing, and works beside a running bot.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.domain.checks import CheckResult
from bot.store.sqlite.audit import ChainBreak, ChainReport, verify_chain
from bot.store.sqlite.checks import open_read_only
from bot.store.sqlite.connection import store_error
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.migrations.v3_audit_chain import V3
from bot.store.sqlite.schema import MIGRATIONS

WHOLE: Final = (
    "The audit log is intact: {count} entries, none changed, none removed.\n"
    "Newest hash: {newest}\n"
    "Keep this hash outside of this machine. Only it shows whether entries were cut off the end, "
    "or recomputed from some entry on:\n"
    "  threadpilot audit verify --expect {newest}"
)
EMPTY: Final = "The audit log is intact: it has no entries yet."
EXPECTED: Final = "It contains the hash that you expect."
NOT_EXPECTED: Final = (
    "The audit log is consistent ({count} entries), but does not contain the hash that you expect: "
    "entries were cut off the end, or recomputed."
)
CHANGED: Final = (
    "Entry {number} does not fit: it was changed or inserted, or the entry before it was replaced. "
    "The {count} before it are unchanged."
)
GONE: Final = "Entry {number} is missing. The {count} before it are unchanged."
NO_DATABASE: Final = "There is no database in {folder}: is DATA_DIR correct?"
NOT_CHAINED: Final = (
    "The audit log of this database has no hashes yet (schema {schema}): the bot's next start adds "
    "them."
)
TOO_NEW: Final = (
    "The database was written by a newer Threadpilot (schema {schema}): verify it with that one."
)
UNREADABLE: Final = "The audit log cannot be read: {why}"


def verify_audit(folder: Path, expected: str = "") -> CheckResult:
    """Read the whole audit log; `expected` is a hash that one of its entries must have. Blocks."""
    file = folder / DATABASE_NAME
    if not file.is_file():
        return CheckResult(ok=False, message=NO_DATABASE.format(folder=folder))
    try:
        with closing(open_read_only(file)) as database:
            database.isolation_level = None
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema < V3.number:
                return CheckResult(ok=False, message=NOT_CHAINED.format(schema=schema))
            if schema > MIGRATIONS[-1].number:
                return CheckResult(ok=False, message=TOO_NEW.format(schema=schema))
            return _to_check_result(verify_chain(database, expected), expected)
    except sqlite3.Error as error:
        return CheckResult(ok=False, message=UNREADABLE.format(why=store_error(error)))


def _to_check_result(report: ChainReport, expected: str) -> CheckResult:
    if report.first_break is not None:
        sentence = GONE if report.first_break is ChainBreak.GONE else CHANGED
        number = report.valid_count + 1
        return CheckResult(
            ok=False, message=sentence.format(number=number, count=report.valid_count)
        )
    if expected and not report.has_expected:
        return CheckResult(ok=False, message=NOT_EXPECTED.format(count=report.valid_count))
    if not report.valid_count:
        return CheckResult(ok=True, message=EMPTY)
    whole = WHOLE.format(count=report.valid_count, newest=report.newest_hash)
    return CheckResult(ok=True, message=f"{whole}\n{EXPECTED}" if expected else whole)
