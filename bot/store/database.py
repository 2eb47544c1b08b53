"""A connection to the database file, on a thread of its own.

What belongs together is done in one go on that thread: a hop there and back for each single
statement costs more than most statements do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from bot.errors import StoreError

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a statement waits for an operator's tool that has the database locked."""


class Database(aiosqlite.Connection):
    """An open connection."""

    def __init__(self, file: Path) -> None:
        # Transactions are begun by hand (isolation_level=None): the driver would begin them
        # deferred, and one that turns from reading to writing fails at once, whatever the timeout.
        connect = partial(sqlite3.connect, file, timeout=BUSY_SECONDS, isolation_level=None)
        super().__init__(connect, iter_chunk_size=64)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on the connection's thread; cancelled, it goes on there and is not waited for."""
        return await self._execute(work, self._conn)  # type: ignore[no-any-return, no-untyped-call]  # the driver's is untyped


@asynccontextmanager
async def connected(file: Path) -> AsyncIterator[Database]:
    """A connection with the settings that all have; closed at the end whatever happens, for one
    left open would hang the exit."""
    database = Database(file)
    async with database:
        await database.run(_set_up)
        yield database


def rows(
    database: sqlite3.Connection,
    statement: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> list[sqlite3.Row]:
    """All rows of a statement, which is thereby through: a half-read one would hold up a commit."""
    return database.execute(statement, values).fetchall()


def _set_up(database: sqlite3.Connection) -> None:
    ((mode,),) = rows(database, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError("the file system of DATA_DIR does not take SQLite's WAL mode")
    # FULL: with NORMAL a power cut takes along what was acknowledged.
    rows(database, "PRAGMA synchronous = FULL")
    rows(database, "PRAGMA foreign_keys = ON")
