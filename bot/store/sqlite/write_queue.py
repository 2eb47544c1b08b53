"""Runs the writes of the database, with many of them in one commit.

Writes that are queued during a commit go into the next one, together. A commit waits for the disk:
on a slow one, a commit per message allows 810 messages a second, and batches many thousands
(measured). A caller gets its result only after the commit has returned.
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
"""Statements of one write. They may be rolled back, so they change nothing but the database."""

MAX_WAITING = 20_000
"""Maximum number of queued writes."""
BATCHING_LOOP_ITERATIONS = 8
"""Number of event loop iterations that a write waits for related writes. A message's turn is then
claimed in the commit that records the message (measured: 0.1 ms for half a millisecond)."""
MAX_BATCH_SIZE = 200
"""Maximum number of writes per commit: enough to share the wait for the disk, and few enough to
stay fast."""
MAX_LOCK_WAIT_SECONDS = 1.0
"""Maximum time, in seconds, that a write may have waited when a commit before it met a lock. A
write that waited longer fails with that commit. If each commit waited for the lock in turn, callers
would get no answer for minutes."""
CLOSE_TIMEOUT_SECONDS = 10.0
"""Timeout, in seconds, for writing what is queued at the close. A commit that has begun then still
runs to its end. A locked database delays that by 5 s at most
(`bot.store.sqlite.connection.BUSY_TIMEOUT_SECONDS`)."""


class _QueuedWrite(Generic[T]):
    """A queued write and the future of its caller."""

    def __init__(self, write: Write[T]) -> None:
        self._write = write
        self._result: T | None = None
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._queued_at = self._loop.time()
        self.future: asyncio.Future[T | None] = self._loop.create_future()

    @property
    def waited_seconds(self) -> float:
        """Seconds since the write was queued."""
        return self._loop.time() - self._queued_at

    def apply(self, database: sqlite3.Connection) -> None:
        """Run the write under a savepoint, so that its failure leaves the rest of the commit
        intact.

        Runs on the thread of the database. Raises only if the whole transaction is gone.
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
        """Give the caller the result: the commit is on disk."""
        if self._error is not None:
            self.fail(self._error)
        elif not self.future.done():
            self.future.set_result(self._result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(store_error(error))


class WriteQueue:
    """Runs writes in the order of arrival, many to a commit."""

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
        """Run a write; it is on disk when this returns. Raises `StoreError` if nothing of it was
        written.

        If the caller is cancelled while the write is queued, it is skipped; later, it still runs.
        """
        if self._closed:
            raise StoreError("the database is closed")
        if self._waiting.qsize() >= self._max_waiting:
            raise StoreError(f"{self._max_waiting} writes wait for the disk already")
        job = _QueuedWrite(write)
        self._waiting.put_nowait(job)  # type: ignore[arg-type]  # each job has a type of its own
        return await job.future  # type: ignore[return-value]  # None only where T is None

    async def close(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> None:
        """Write what is queued, then end. After `timeout_seconds`, behind a locked database or a
        slow disk, the remaining writes fail."""
        if not self._closed:
            self._closed = True
            self._waiting.put_nowait(None)
        _, late = await asyncio.wait({self._task}, timeout=timeout_seconds)
        if late:
            self._abandoned = True
        await self._task

    async def _run(self) -> None:
        running = True
        while running:
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
            running = job is not None
            if self._abandoned:
                _fail_all(batch, StoreError("the database is closed before this could be written"))
            elif batch:
                await self._commit(batch)

    async def _commit(self, batch: Sequence[_QueuedWrite[object]]) -> None:
        """Run all writes of a batch in one transaction; on disk when this returns."""
        with self._telemetry.observe_commit() as observation:
            try:
                await self._database.run_write(partial(_commit, batch))
            except Exception as error:  # each waiting caller gets it
                observation.outcome = "failed"
                _fail_all(batch, error)
                if is_locked(error):
                    self._fail_long_waiting(error)
                return
            observation.outcome = "ok"
        for job in batch:
            job.resolve()

    def _fail_long_waiting(self, error: Exception) -> None:
        """Fail the writes that have waited long enough; the others keep their positions."""
        for _ in range(self._waiting.qsize()):
            job = self._waiting.get_nowait()
            if job is not None and job.waited_seconds >= MAX_LOCK_WAIT_SECONDS:
                job.fail(error)
            else:
                self._waiting.put_nowait(job)


def _fail_all(batch: Sequence[_QueuedWrite[object]], error: Exception) -> None:
    """Fail all writes of a batch."""
    for job in batch:
        job.fail(error)


def _commit(batch: Sequence[_QueuedWrite[object]], database: sqlite3.Connection) -> None:
    """Run all writes of a batch in one transaction; on disk when this returns."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for job in batch:
            job.apply(database)
        database.execute("COMMIT")
    except BaseException:
        # Leave no transaction open; an error of the rollback must not hide the first one.
        with contextlib.suppress(sqlite3.Error):
            database.rollback()
        raise
