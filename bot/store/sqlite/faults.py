"""What the database's driver says, as Threadpilot's own error, with what to do about it.

SQLite's codes: sqlite.org/rescode.html. Of an extended code the low byte is the kind of trouble.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.errors import StoreError

LOCKED: Final = (
    "another program keeps the database locked: end it (an sqlite3 shell, a backup that copies), "
    "and what is to be written is tried again"
)
FULL: Final = "the disk of DATA_DIR is full: make room, or move DATA_DIR to a larger one"
NOT_WRITABLE: Final = (
    "the database may not be written: DATA_DIR or its disk is read-only. Give the folder and the "
    "files in it to the bot's own account, or mount the disk for writing"
)
MOVED: Final = (
    "the database was moved away, deleted or replaced under the running bot: put it back, with the "
    "files beside it, or stop the bot before you restore a backup"
)
DISK: Final = "the disk of DATA_DIR fails: look at it and at the system's log"
DAMAGED: Final = (
    "the database is damaged: stop the bot, keep a copy of DATA_DIR, and restore a backup; without "
    "one, `sqlite3 threadpilot.db .recover` saves what can be read"
)
NOT_OPENED: Final = (
    "the database cannot be opened: DATA_DIR must be a folder, and threadpilot.db in it a file, "
    "that the bot's own account may read and write"
)

_KIND: Final = 0xFF
_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: LOCKED,
        sqlite3.SQLITE_LOCKED: LOCKED,
        sqlite3.SQLITE_FULL: FULL,
        sqlite3.SQLITE_READONLY: NOT_WRITABLE,
        sqlite3.SQLITE_PERM: NOT_WRITABLE,
        sqlite3.SQLITE_IOERR: DISK,
        sqlite3.SQLITE_CORRUPT: DAMAGED,
        sqlite3.SQLITE_NOTADB: DAMAGED,
        sqlite3.SQLITE_CANTOPEN: NOT_OPENED,
    }
)


def is_locked(error: Exception) -> bool:
    """Whether another program's lock was in the way."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _KIND == sqlite3.SQLITE_BUSY


def store_error(error: Exception) -> StoreError:
    """What the driver (or a row nobody expected) said, as Threadpilot's own error."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    known = _WORDS.get(code & _KIND) if isinstance(code, int) else None
    wrapped = StoreError(f"{known or 'the database failed'} ({type(error).__name__}: {error})")
    wrapped.passing = is_locked(error)
    wrapped.__cause__ = error
    return wrapped
