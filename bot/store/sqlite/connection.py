"""Connects to the database file, on a thread of its own.

A query runs as a whole on that thread: a change of threads for each statement would cost more than
most statements do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import aiosqlite

from bot.errors import StoreError

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5.0
"""Timeout, in seconds, of a statement while another program has the database locked."""


class _PythonScript(str):
    """A script that is a Python function instead of SQL."""

    __slots__ = ("run",)

    run: Callable[[sqlite3.Connection], None]


class _ScriptableConnection(sqlite3.Connection):
    """Runs a `_PythonScript` where the driver runs a script.

    aiosqlite has no public method that runs a function on a connection's thread, and one call of it
    per statement would cost a change of threads for each. Its public `executescript` calls the
    method of the same name on that thread, and the `factory` of `sqlite3.connect` supplies that
    method.
    """

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        if not isinstance(sql_script, _PythonScript):
            return super().executescript(sql_script)
        sql_script.run(self)
        return self.cursor()


class SqliteConnection(aiosqlite.Connection):
    """An open connection to the database file."""

    def __init__(self, file: Path) -> None:
        # Queries begin transactions themselves (isolation_level=None). The driver would begin them
        # deferred, and one that turns from reading to writing fails at once, despite the timeout.
        connect = partial(
            sqlite3.connect,
            file,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            factory=_ScriptableConnection,
        )
        super().__init__(connect, iter_chunk_size=64)
        self._file = file
        self._opened_file: tuple[int, int] | None = None

    async def run_query(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the connection's thread and return its result. When the caller is
        cancelled, the function still runs to its end, and its result is dropped."""
        results: list[T] = []
        script = _PythonScript()
        script.run = lambda connection: results.append(work(connection))
        await self.executescript(script)
        return results[0]

    async def run_write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that writes.

        Raises `StoreError` when the file is no longer the one that was opened. SQLite goes on
        writing to a file that was moved away or replaced (measured), and the next start would miss
        those writes.
        """

        def unless_moved(connection: sqlite3.Connection) -> T:
            if self._opened_file not in (None, _file_identity(self._file)):
                raise StoreError(MOVED)
            return work(connection)

        return await self.run_query(unless_moved)

    async def configure(self) -> None:
        """Apply the settings that all connections share."""
        await self.run_query(_configure)
        self._opened_file = _file_identity(self._file)


@asynccontextmanager
async def open_connection(file: Path) -> AsyncIterator[SqliteConnection]:
    """A connection with the common settings. It is closed in any case, because an open one would
    block the exit."""
    database = SqliteConnection(file)
    async with database:
        await database.configure()
        yield database


def fetch_all(
    database: sqlite3.Connection,
    statement: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> list[sqlite3.Row]:
    """All rows of a statement, which is thereby finished: a half-read one would delay a commit."""
    return database.execute(statement, values).fetchall()


@contextmanager
def snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Make all reads inside see the same state, regardless of commits. Only outside of a
    transaction."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.execute("ROLLBACK")


def _file_identity(file: Path) -> tuple[int, int] | None:
    """The device and inode of a file, or None if it does not exist."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _configure(database: sqlite3.Connection) -> None:
    ((mode,),) = fetch_all(database, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError("the file system of DATA_DIR does not support SQLite's WAL mode")
    # FULL: with NORMAL a power cut loses what was acknowledged.
    fetch_all(database, "PRAGMA synchronous = FULL")
    fetch_all(database, "PRAGMA foreign_keys = ON")


LOCKED: Final = (
    "another program keeps the database locked: end it (an sqlite3 shell, a backup), and the bot "
    "tries again"
)


FULL: Final = "the disk of DATA_DIR is full: free some space, or move DATA_DIR to a larger disk"


NOT_WRITABLE: Final = (
    "the database cannot be written: DATA_DIR or its disk is read-only. Make the bot's account the "
    "owner of the folder and its files, or mount the disk for writing"
)


MOVED: Final = (
    "the database was moved away, deleted or replaced under the running bot: put it back, with the "
    "files beside it, or stop the bot before you restore a backup"
)


DISK: Final = "the disk of DATA_DIR fails: check it and the system log"


DAMAGED: Final = (
    "the database is damaged: stop the bot, keep a copy of DATA_DIR, and restore a backup; without "
    "one, `sqlite3 threadpilot.db .recover` saves what can be read"
)


NOT_OPENED: Final = (
    "the database cannot be opened: DATA_DIR must be a folder, and threadpilot.db in it a file, "
    "that the bot's account can read and write"
)


_PRIMARY_CODE_MASK: Final = 0xFF


_MESSAGES: Final[Mapping[int, str]] = MappingProxyType(
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
    """True if another program had the database locked."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _PRIMARY_CODE_MASK == sqlite3.SQLITE_BUSY


def store_error(error: Exception) -> StoreError:
    """An error of the driver, or of an unexpected row, as `StoreError`."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    known = _MESSAGES.get(code & _PRIMARY_CODE_MASK) if isinstance(code, int) else None
    wrapped = StoreError(f"{known or 'the database failed'} ({type(error).__name__}: {error})")
    wrapped.transient = is_locked(error)
    wrapped.__cause__ = error
    return wrapped
