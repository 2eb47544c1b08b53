"""What every side of the store works with: the writer, a connection that reads, the clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from bot.ports import UNWATCHED, Clock, Watch
from bot.store.sqlite.connection import Database, store_error
from bot.store.sqlite.inbox import Bounds
from bot.store.sqlite.write_queue import Writer

T = TypeVar("T")


class Side:
    """A part of `bot.store.sqlite.store.SqliteStore`; its promises stand in `bot.ports`."""

    def __init__(
        self,
        writer: Writer,
        reading: Database,
        clock: Clock,
        bounds: Bounds,
        watch: Watch = UNWATCHED,
    ) -> None:
        self._writer = writer
        self._reading = reading
        self._clock = clock
        self._bounds = bounds
        self._watch = watch

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reading.run(query)
        except Exception as error:
            raise store_error(error) from error
