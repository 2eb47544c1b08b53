"""Opens `bot.ports.Store` on one SQLite file.

There are two connections: the one of the write queue, and one that only reads and so sees only what
is committed. A commit is on disk when it returns: WAL with `synchronous=FULL`, because with NORMAL
a power cut loses acknowledged messages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from bot.errors import StoreError
from bot.ports import NULL_TELEMETRY, Clock, Telemetry
from bot.store.sqlite.audit import AuditQueries
from bot.store.sqlite.checkpoints import CheckpointQueries
from bot.store.sqlite.checks import check_at_startup
from bot.store.sqlite.commands import CommandQueries, PendingQuestionQueries
from bot.store.sqlite.comparisons import ComparisonQueries
from bot.store.sqlite.connection import fetch_all, open_connection, store_error
from bot.store.sqlite.data_dir import locked_data_dir
from bot.store.sqlite.inbox import InboxQueries
from bot.store.sqlite.indicators import IndicatorQueries
from bot.store.sqlite.preferences import PreferenceQueries
from bot.store.sqlite.queries import QueueLimits, write
from bot.store.sqlite.schema import migrate
from bot.store.sqlite.session_history import HistoryQueries
from bot.store.sqlite.session_list import SessionListQueries
from bot.store.sqlite.sessions import SessionQueries
from bot.store.sqlite.thread_context import ThreadContextQueries
from bot.store.sqlite.thread_holds import ThreadHoldQueries
from bot.store.sqlite.threads import ThreadQueries
from bot.store.sqlite.turns import TurnQueries
from bot.store.sqlite.usage import UsageQueries
from bot.store.sqlite.write_queue import WriteQueue


@asynccontextmanager
async def open_store(
    data_dir: Path,
    *,
    clock: Clock,
    max_running_per_user: int,
    max_waiting_per_thread: int = 1_000,
    max_waiting: int = 20_000,
    telemetry: Telemetry = NULL_TELEMETRY,
) -> AsyncIterator[SqliteStore]:
    """Open the database in a data folder, and create or migrate it if necessary.

    The limits are `QueueLimits`; `telemetry` gets what is recorded. Raises `DataFolderInUse`,
    `SchemaTooNew`, and `StoreError` for any other reason. On exit it writes what is queued, then
    closes.
    """
    bounds = QueueLimits(
        max_running_per_user=max_running_per_user,
        max_waiting_per_thread=max_waiting_per_thread,
        max_waiting=max_waiting,
    )
    async with AsyncExitStack() as opened:
        file = opened.enter_context(locked_data_dir(data_dir))
        try:
            writing = await opened.enter_async_context(open_connection(file))
            await writing.run_query(check_at_startup)
            await writing.run_query(migrate)
            reading = await opened.enter_async_context(open_connection(file))
            await reading.run_query(partial(fetch_all, statement="PRAGMA query_only = ON"))
        except StoreError:
            raise
        except Exception as error:
            raise store_error(error) from error
        writer = WriteQueue(writing, telemetry=telemetry)
        opened.push_async_callback(writer.close)
        yield SqliteStore(writer, reading, clock, bounds, telemetry)


class SqliteStore(
    InboxQueries,
    TurnQueries,
    ThreadQueries,
    ThreadContextQueries,
    SessionQueries,
    SessionListQueries,
    HistoryQueries,
    PreferenceQueries,
    UsageQueries,
    ComparisonQueries,
    CommandQueries,
    ThreadHoldQueries,
    PendingQuestionQueries,
    IndicatorQueries,
    CheckpointQueries,
    AuditQueries,
):
    """`bot.ports.Store` on SQLite; each query class is one topic of it."""

    @write
    def check_writable(self, database: sqlite3.Connection) -> None:
        """Write nothing: the commit takes the lock that every write takes."""
