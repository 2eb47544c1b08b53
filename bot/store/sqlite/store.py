"""`bot.ports.Store` on one SQLite file.

Two connections: the writer's, and one that only reads and so sees only what is on disk. A commit
reaches the disk before it returns (WAL with `synchronous=FULL`: with NORMAL a power cut takes
acknowledged messages along).
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from bot.errors import StoreError
from bot.ports import UNWATCHED, Clock, Watch
from bot.store.sqlite.checkpoints import HearingSide
from bot.store.sqlite.checks import look_at_start
from bot.store.sqlite.connection import connected, rows, store_error
from bot.store.sqlite.data_dir import held_folder
from bot.store.sqlite.facade import InboxSide
from bot.store.sqlite.inbox import Bounds
from bot.store.sqlite.people_side import PeopleSide
from bot.store.sqlite.schema import migrate
from bot.store.sqlite.session_facade import SessionsSide
from bot.store.sqlite.write_queue import Writer


@asynccontextmanager
async def open_store(
    data_dir: Path,
    *,
    clock: Clock,
    per_user: int,
    thread_queue: int = 1_000,
    whole_queue: int = 20_000,
    watch: Watch = UNWATCHED,
) -> AsyncIterator[SqliteStore]:
    """The database in a data folder, made or brought up to date where need be.

    `per_user` turns of one person run at once; `thread_queue` turns wait in one thread and
    `whole_queue` in all; `watch` is told what is on record. Raises `DataFolderInUse`,
    `SchemaTooNew`, and `StoreError` for everything else that keeps it from opening. Leaving writes
    what waits, then closes.
    """
    bounds = Bounds(per_user=per_user, thread_queue=thread_queue, whole_queue=whole_queue)
    async with AsyncExitStack() as opened:
        file = opened.enter_context(held_folder(data_dir))
        try:
            writing = await opened.enter_async_context(connected(file))
            await writing.run(look_at_start)
            await writing.run(migrate)
            reading = await opened.enter_async_context(connected(file))
            await reading.run(partial(rows, statement="PRAGMA query_only = ON"))
        except StoreError:
            raise
        except Exception as error:
            raise store_error(error) from error
        writer = Writer(writing, watch=watch)
        opened.push_async_callback(writer.close)
        yield SqliteStore(writer, reading, clock, bounds, watch)


class SqliteStore(InboxSide, SessionsSide, PeopleSide, HearingSide):
    """The whole database; its promises stand in `bot.ports`."""

    async def check(self) -> None:
        await self._writer.do(_nothing)


def _nothing(database: sqlite3.Connection) -> None:  # a write that writes nothing
    """It takes the lock that every write takes."""
