"""Derives the store's async methods from queries that run on a connection's thread.

A query is a method that also takes the plain `sqlite3` connection. `read` and `write` turn it into
the async method of the port, with the same parameters and result:

    @write
    def withdraw(self, database: sqlite3.Connection, turn: Turn) -> bool: ...

    withdrawn = await store.withdraw(turn)

A query may be rolled back, so it changes nothing but the database. What it promises is in the port.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from bot.ports import NULL_TELEMETRY, Clock, Telemetry
from bot.store.sqlite.connection import SqliteConnection, store_error
from bot.store.sqlite.write_queue import WriteQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Limits of the turn queue."""

    max_running_per_user: int
    """Maximum number of turns of one user that run at once."""
    max_waiting_per_thread: int
    """Maximum number of waiting turns in one thread."""
    max_waiting: int
    """Maximum number of waiting turns in all."""


class Queries:
    """The base of all query classes: the write queue, a connection for reading, and the clock."""

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

    async def run_read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the connection for reading. Raises `StoreError`."""
        try:
            return await self._reader.run_query(work)
        except Exception as error:
            raise store_error(error) from error

    async def run_write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in the next commit; on disk when this returns. Raises `StoreError`."""
        return await self._writer.submit(work)


P = ParamSpec("P")
Q = TypeVar("Q", bound=Queries)
T = TypeVar("T")

Query = Callable[Concatenate[Q, sqlite3.Connection, P], T]
StoreMethod = Callable[Concatenate[Q, P], Coroutine[Any, Any, T]]


def read(query: Query[Q, P, T]) -> StoreMethod[Q, P, T]:
    """Make a query a store method that reads what is committed."""

    @wraps(query)
    async def method(self: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run_read(_bind(query, self, *args, **kwargs))

    return method


def write(query: Query[Q, P, T]) -> StoreMethod[Q, P, T]:
    """Make a query a store method that writes."""

    @wraps(query)
    async def method(self: Q, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run_write(_bind(query, self, *args, **kwargs))

    return method


def _bind(
    query: Query[Q, P, T], queries: Q, *args: P.args, **kwargs: P.kwargs
) -> Callable[[sqlite3.Connection], T]:
    def work(database: sqlite3.Connection) -> T:
        return query(queries, database, *args, **kwargs)

    work.__name__ = query.__name__  # the kill sweep of the tests names its steps by it
    return work
