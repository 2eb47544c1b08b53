"""`bot.ports.Store` on one SQLite file.

Two connections: the writer's, and one that only reads and so sees only what is on disk. A commit
reaches the disk before it returns (WAL with `synchronous=FULL`: with NORMAL a power cut takes
acknowledged messages along).
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from bot.errors import StoreError
from bot.model import Accepted, Ending, Message, Part, Thread, ThreadKey, Turn, TurnState
from bot.ports import Clock
from bot.store import accepting, threads, turns
from bot.store.accepting import Bounds
from bot.store.database import Database, connected, rows
from bot.store.folder import held_folder
from bot.store.schema import migrate
from bot.store.writer import Writer, store_error

T = TypeVar("T")


@asynccontextmanager
async def open_store(
    data_dir: Path,
    *,
    clock: Clock,
    per_user: int,
    thread_queue: int = 1_000,
    whole_queue: int = 20_000,
) -> AsyncIterator[SqliteStore]:
    """The database in a data folder, made or brought up to date where need be.

    `per_user` turns of one person run at once; `thread_queue` turns wait in one thread and
    `whole_queue` in all. Raises `DataFolderInUse`, `SchemaTooNew`, and `StoreError` for
    everything else that keeps it from opening. Leaving writes what waits, then closes.
    """
    bounds = Bounds(per_user=per_user, thread_queue=thread_queue, whole_queue=whole_queue)
    async with AsyncExitStack() as opened:
        file = opened.enter_context(held_folder(data_dir))
        try:
            writing = await opened.enter_async_context(connected(file))
            await writing.run(migrate)
            reading = await opened.enter_async_context(connected(file))
            await reading.run(partial(rows, statement="PRAGMA query_only = ON"))
        except StoreError:
            raise
        except Exception as error:
            raise store_error(error) from error
        writer = Writer(writing)
        opened.push_async_callback(writer.close)
        yield SqliteStore(writer, reading, clock, bounds)


class SqliteStore:
    """The whole database; its promises stand in `bot.ports`."""

    def __init__(self, writer: Writer, reading: Database, clock: Clock, bounds: Bounds) -> None:
        self._writer = writer
        self._reading = reading
        self._clock = clock
        self._bounds = bounds

    async def check(self) -> None:
        await self._writer.do(_nothing)

    # Turns

    async def accept(self, message: Message) -> Accepted:
        now = self._clock.now()
        return await self._writer.do(
            partial(accepting.accept, message=message, now=now, bounds=self._bounds)
        )

    async def claim(self) -> Turn | None:
        now, per_user = self._clock.now(), self._bounds.per_user
        return await self._writer.do(partial(turns.claim, now=now, per_user=per_user))

    async def begin(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.begin, turn=turn, now=self._clock.now()))

    async def hand_back(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.hand_back, turn=turn))

    async def show_waiting(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.show_waiting, turn=turn))

    async def record(self, turn: Turn, ending: Ending) -> bool:
        return await self._writer.do(partial(turns.record, turn=turn, ending=ending))

    async def finish(self, turn: Turn, state: TurnState) -> bool:
        now = self._clock.now()
        return await self._writer.do(partial(turns.finish, turn=turn, state=state, now=now))

    async def recover(self) -> Sequence[Turn]:
        return await self._writer.do(partial(turns.recover, now=self._clock.now()))

    async def find(self, team: str, channel: str, ts: str) -> Turn | None:
        return await self._read(partial(turns.find, team=team, channel=channel, ts=ts))

    async def running(self, thread: ThreadKey) -> Turn | None:
        return await self._read(partial(turns.running, key=thread))

    async def reword(self, turn: Turn, text: str) -> bool:
        return await self._writer.do(partial(turns.reword, turn=turn, text=text))

    async def withdraw(self, turn: Turn) -> bool:
        return await self._writer.do(partial(turns.withdraw, turn=turn, now=self._clock.now()))

    # Threads

    async def thread(self, key: ThreadKey) -> Thread | None:
        return await self._read(partial(threads.read_thread, key=key))

    async def note_people(self, key: ThreadKey, people: frozenset[str]) -> None:
        await self._writer.do(partial(threads.note_people, key=key, people=people))

    async def note_part(self, turn: Turn, part: Part) -> None:
        await self._writer.do(partial(threads.note_part, turn=turn, part=part))

    async def parts(self, turn: Turn) -> Sequence[Part]:
        return await self._read(partial(threads.read_parts, turn=turn))

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reading.run(query)
        except Exception as error:
            raise store_error(error) from error


def _nothing(database: sqlite3.Connection) -> None:  # a write that writes nothing
    """It takes the lock that every write takes."""
