"""What every side of the store works with: the writer, a connection that reads, the clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from bot.ports import NULL_TELEMETRY, Clock, Telemetry
from bot.store.sqlite.connection import SqliteConnection, store_error
from bot.store.sqlite.inbox import QueueLimits
from bot.store.sqlite.write_queue import WriteQueue

T = TypeVar("T")


class Side:
    """A part of `bot.store.sqlite.store.SqliteStore`; its promises stand in `bot.ports`."""

    def __init__(
        self,
        writer: WriteQueue,
        reader: SqliteConnection,
        clock: Clock,
        limits: QueueLimits,
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._limits = limits
        self._telemetry = telemetry

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reader.run_query(query)
        except Exception as error:
            raise store_error(error) from error
