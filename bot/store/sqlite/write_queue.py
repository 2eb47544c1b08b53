"""The one writer of the database: whatever wants to be written while a commit is under way goes
into the next one, together.

A commit waits for the disk. One commit per message holds 810 messages a second on a slow disk, one
commit for all that wait holds many thousands (measured); and nobody is told that something is
recorded before the commit that holds it has returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from bot.errors import StoreError
from bot.ports import NULL_TELEMETRY, Telemetry
from bot.store.sqlite.connection import SqliteConnection, is_locked, store_error

T = TypeVar("T")

Write = Callable[[sqlite3.Connection], T]
"""Statements that belong together. They may be undone, so they touch nothing but the database."""

MAX_WAITING = 20_000
BATCHING_LOOP_ITERATIONS = 8
"""So long, in turns of the event loop, a write waits for those that come of the same: a message's
turn is claimed in the commit that records the message (measured: 0.1 ms for half a millisecond)."""
MAX_BATCH_SIZE = 200
"""Writes per commit: enough to make the wait for the disk cheap, few enough to stay quick."""
MAX_LOCK_WAIT_SECONDS = 1.0
"""Who has waited so long behind a commit that met a lock has waited for that lock, too: to let them
all wait for it anew, one commit after another, would leave those who brought a message without a
word for minutes."""
CLOSE_TIMEOUT_SECONDS = 10.0
"""How long closing writes what waits; a commit that is under way then goes on to its own end, which
a locked database (`bot.store.sqlite.connection.BUSY_TIMEOUT_SECONDS`) puts off by 5 s at most."""


class _QueuedWrite(Generic[T]):
    """A write, and the one who waits for it."""

    def __init__(self, write: Write[T]) -> None:
        self._write = write
        self._result: T | None = None
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._queued_at = self._loop.time()
        self.future: asyncio.Future[T | None] = self._loop.create_future()

    @property
    def waited_seconds(self) -> float:
        """For how many seconds."""
        return self._loop.time() - self._queued_at

    def apply(self, database: sqlite3.Connection) -> None:
        """Do the write under a savepoint: when it fails, its neighbours in the commit stay.

        On the database's thread. Raises only when the whole transaction is gone.
        """
        database.execute("SAVEPOINT one")
        try:
            self._result = self._write(database)
        except Exception as error:
            # A full disk or a failing one makes SQLite undo the whole transaction by itself.
            if not database.in_transaction:
                raise
            database.execute("ROLLBACK TO one")
            self._error = error
        database.execute("RELEASE one")

    def resolve(self) -> None:
        """The commit is on disk."""
        if self._error is not None:
            self.fail(self._error)
        elif not self.future.done():
            self.future.set_result(self._result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(store_error(error))


class WriteQueue:
    """Runs writes in the order in which they come, many to a commit."""

    def __init__(
        self,
        database: SqliteConnection,
        *,
        max_waiting: int = MAX_WAITING,
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._max_waiting = max_waiting
        self._waiting: asyncio.Queue[_QueuedWrite[object] | None] = asyncio.Queue()
        self._closed = self._abandoned = False
        self._task = asyncio.create_task(self._run(), name="database writer")

    async def submit(self, write: Write[T]) -> T:
        """Run a write; on disk when this returns. Raises `StoreError`, and then nothing of it is.

        Cancelled while it waits for its turn it is left out; later than that it is done.
        """
        if self._closed:
            raise StoreError("the database is closed")
        if self._waiting.qsize() >= self._max_waiting:
            raise StoreError(f"{self._max_waiting} writes wait for the disk already")
        job = _QueuedWrite(write)
        self._waiting.put_nowait(job)  # type: ignore[arg-type]  # a job's type is its caller's
        return await job.future  # type: ignore[return-value]  # None only where T is None

    async def close(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> None:
        """Write what waits, then end. What is not written `within` so many seconds, behind a locked
        database or a slow disk, never will be: those who wait for it are told."""
        if not self._closed:
            self._closed = True
            self._waiting.put_nowait(None)
        _, late = await asyncio.wait({self._task}, timeout=timeout_seconds)
        if late:
            self._abandoned = True
        await self._task

    async def _run(self) -> None:
        open_ = True
        while open_:
            batch: list[_QueuedWrite[object]] = []
            job = await self._waiting.get()
            for _ in range(BATCHING_LOOP_ITERATIONS):
                await asyncio.sleep(0)
            while job is not None:
                if not job.future.done():
                    batch.append(job)
                if len(batch) == MAX_BATCH_SIZE or self._waiting.empty():
                    break
                job = self._waiting.get_nowait()
            open_ = job is not None
            if self._abandoned:
                _fail_all(batch, StoreError("the database is closed before this could be written"))
            elif batch:
                await self._commit(batch)

    async def _commit(self, batch: Sequence[_QueuedWrite[object]]) -> None:
        with self._telemetry.observe_commit() as outcome:
            try:
                await self._database.run_write(partial(_commit, batch))
            except Exception as error:  # whatever it is, all who wait are told
                outcome.outcome = "failed"
                _fail_all(batch, error)
                if is_locked(error):
                    self._fail_long_waiting(error)
                return
            outcome.outcome = "ok"
        for job in batch:
            job.resolve()

    def _fail_long_waiting(self, error: Exception) -> None:
        """Fail all who have waited long enough; the others keep their places."""
        for _ in range(self._waiting.qsize()):
            job = self._waiting.get_nowait()
            if job is not None and job.waited_seconds >= MAX_LOCK_WAIT_SECONDS:
                job.fail(error)
            else:
                self._waiting.put_nowait(job)


def _fail_all(batch: Sequence[_QueuedWrite[object]], error: Exception) -> None:
    """All who wait are told."""
    for job in batch:
        job.fail(error)


def _commit(batch: Sequence[_QueuedWrite[object]], database: sqlite3.Connection) -> None:
    """Do all writes of a batch in one transaction; on disk when this returns."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for job in batch:
            job.apply(database)
        database.execute("COMMIT")
    except BaseException:
        # Leave no transaction open, and let no trouble on the way hide the first.
        with contextlib.suppress(sqlite3.Error):
            database.rollback()
        raise
