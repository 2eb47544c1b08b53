"""Checks the write queue: many writes to a commit, each with its own success or failure."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store.sqlite.connection import SqliteConnection, open_connection
from bot.store.sqlite.write_queue import BATCHING_LOOP_ITERATIONS, Write, WriteQueue


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    async with open_connection(tmp_path / "words.db") as database:
        await database.execute("CREATE TABLE words (word TEXT UNIQUE)")
        await database.execute("CREATE TABLE echoes (word TEXT REFERENCES words (word))")
        yield database


@pytest.fixture
async def writer(database: SqliteConnection) -> AsyncIterator[WriteQueue]:
    writer = WriteQueue(database)
    yield writer
    await writer.close()


def add(*words: str) -> Write[str]:
    def write(database: sqlite3.Connection) -> str:
        for word in words:
            database.execute("INSERT INTO words VALUES (?)", (word,))
        return " ".join(words)

    return write


def echo_nothing(database: sqlite3.Connection) -> None:
    """A write whose error shows only at the commit."""
    database.execute("PRAGMA defer_foreign_keys = ON")
    database.execute("INSERT INTO echoes VALUES ('never said')")


async def words(database: SqliteConnection) -> list[str]:
    return [row[0] for row in await database.execute_fetchall("SELECT word FROM words ORDER BY 1")]


async def test_what_comes_together_goes_in_one_commit(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    statements: list[str] = []
    await database.set_trace_callback(statements.append)
    answers = await asyncio.gather(*(writer.submit(add(f"{n:02}")) for n in range(20)))
    await database.set_trace_callback(None)  # type: ignore[arg-type]  # the way to end it
    assert answers == [f"{n:02}" for n in range(20)]
    assert statements.count("COMMIT") == 1


async def test_what_comes_a_moment_later_of_the_same_goes_in_the_same_commit(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    statements: list[str] = []
    await database.set_trace_callback(statements.append)
    first = asyncio.create_task(writer.submit(add("first")))
    for _ in range(BATCHING_LOOP_ITERATIONS // 2):
        await asyncio.sleep(0)
    assert [*await asyncio.gather(first, writer.submit(add("second")))] == ["first", "second"]
    await database.set_trace_callback(None)  # type: ignore[arg-type]  # the way to end it
    assert statements.count("COMMIT") == 1


async def test_a_failing_write_leaves_its_neighbours_alone(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    first, failed, last = await asyncio.gather(
        writer.submit(add("marsupilami")),
        writer.submit(add("houba", "marsupilami")),
        writer.submit(add("palombia")),
        return_exceptions=True,
    )
    assert (first, last) == ("marsupilami", "palombia")
    assert isinstance(failed, StoreError)
    assert isinstance(failed.__cause__, sqlite3.IntegrityError)
    assert await words(database) == ["marsupilami", "palombia"]


async def test_a_failing_commit_fails_all_that_it_holds(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    outcomes = await asyncio.gather(
        writer.submit(add("marsupilami")), writer.submit(echo_nothing), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    assert await words(database) == []
    assert await writer.submit(add("houba")) == "houba"
    assert await words(database) == ["houba"]


async def test_a_full_disk_fails_the_commit_and_passes(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    """SQLite then rolls back the whole transaction: no write of it may be acknowledged."""
    ((pages,),) = await database.execute_fetchall("PRAGMA page_count")
    await database.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    outcomes = await asyncio.gather(
        writer.submit(add("marsupilami")), writer.submit(add("h" * 100_000)), return_exceptions=True
    )
    kept = await words(database)
    for word, outcome in zip(["marsupilami", "h" * 100_000], outcomes, strict=True):
        assert (word in kept) == (outcome == word)
    assert isinstance(outcomes[1], StoreError)
    await database.execute_fetchall("PRAGMA max_page_count = 100000")
    assert await writer.submit(add("h" * 100_000)) == "h" * 100_000


async def test_more_than_may_wait_is_refused(database: SqliteConnection) -> None:
    writer = WriteQueue(database, max_waiting=2)
    outcomes = await asyncio.gather(
        *(writer.submit(add(word)) for word in ("a", "b", "c")), return_exceptions=True
    )
    assert outcomes[:2] == ["a", "b"]
    assert isinstance(outcomes[2], StoreError)
    await writer.close()


async def test_what_nobody_waits_for_any_more_is_left_out(
    database: SqliteConnection, writer: WriteQueue
) -> None:
    given_up = asyncio.create_task(writer.submit(add("marsupilami")))
    await asyncio.sleep(0)
    given_up.cancel()
    await writer.submit(add("houba"))
    assert given_up.cancelled()
    assert await words(database) == ["houba"]


async def test_closing_writes_what_waits_and_takes_nothing_more(
    database: SqliteConnection,
) -> None:
    writer = WriteQueue(database)
    late = asyncio.create_task(writer.submit(add("marsupilami")))
    await asyncio.sleep(0)
    await writer.close()
    await writer.close()
    assert await late == "marsupilami"
    with pytest.raises(StoreError):
        await writer.submit(add("houba"))
    assert await words(database) == ["marsupilami"]
