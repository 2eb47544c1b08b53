"""Checks a database in trouble.

What cannot be written is not acknowledged, the error says what to do, and nothing is corrupt
afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.domain.turns import AcceptStatus
from bot.errors import StoreError
from bot.ports import Store
from bot.store import open_store
from bot.store.sqlite import checks
from bot.store.sqlite import connection as faults
from bot.store.sqlite.connection import BUSY_TIMEOUT_SECONDS, open_connection
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.write_queue import MAX_BATCH_SIZE, WriteQueue
from tests.contracts.messages import make_message, ts_at
from tests.unit.store.test_crash import assert_sound, line_of, process
from tests.unit.store.test_data_dir import AS_OTHER_ACCOUNT

PAGE = 4096


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with open_store(folder, clock=SystemClock(), max_running_per_user=2) as store:
        yield store


@contextmanager
def locked(folder: Path) -> Iterator[sqlite3.Connection]:
    """Another program writes in the database, slowly."""
    with closing(sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        yield program
        if program.in_transaction:
            program.execute("ROLLBACK")


async def is_recorded(folder: Path, second: int) -> bool:
    async with opened(folder) as store:
        return await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(second)) is not None


# Locked


async def test_a_lock_that_passes_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with locked(tmp_path) as program:
            accepting = asyncio.create_task(store.accept_message(make_message(1)))
            await asyncio.wait({accepting}, timeout=0.5)
            assert not accepting.done(), "it cannot be on disk"
            program.execute("ROLLBACK")
            assert (await accepting).status is AcceptStatus.SCHEDULED
    assert_sound(tmp_path)


async def test_a_lock_that_stays_is_reported_and_what_was_not_written_can_be_brought_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        with locked(tmp_path):
            with pytest.raises(StoreError, match="another program keeps the database locked"):
                await store.accept_message(make_message(1))
            assert await store.waiting_turns() == (), "reading goes on meanwhile"
        assert (await store.accept_message(make_message(1))).status is AcceptStatus.SCHEDULED
    assert_sound(tmp_path)


async def test_who_waited_behind_a_lock_is_not_made_to_wait_for_it_once_more(
    tmp_path: Path,
) -> None:
    """A message has ten seconds to be accepted."""
    async with opened(tmp_path) as store:
        with locked(tmp_path):
            first = asyncio.create_task(store.claim())
            await asyncio.wait({first}, timeout=1.0)
            behind = asyncio.create_task(store.accept_message(make_message(1)))
            ended, _ = await asyncio.wait({first, behind}, timeout=60, return_when="ALL_COMPLETED")
            assert ended == {first, behind}
            late = asyncio.get_running_loop().time()
            assert {type(task.exception()) for task in ended} == {StoreError}
            with pytest.raises(StoreError):
                await store.accept_message(make_message(1))
            # A caller that came after the others had failed waits for the lock alone.
            assert asyncio.get_running_loop().time() - late > BUSY_TIMEOUT_SECONDS / 2
        assert (await store.accept_message(make_message(1))).status is AcceptStatus.SCHEDULED


async def test_closing_behind_a_lock_is_bounded_and_everybody_is_notified(tmp_path: Path) -> None:
    """For a queue of any length: each commit would wait for the lock again."""
    many = 20 * MAX_BATCH_SIZE
    async with open_connection(tmp_path / DATABASE_NAME) as database:
        await database.execute("CREATE TABLE words (word TEXT)")
        writer = WriteQueue(database)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO words VALUES ('houba')")

        with locked(tmp_path):
            writes = [asyncio.create_task(writer.submit(write)) for _ in range(many)]
            await asyncio.sleep(0)
            async with asyncio.timeout(60):  # a hundred seconds, if each took its time
                await writer.close(timeout_seconds=0.5)
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreError}
        ((written,),) = await database.execute_fetchall("SELECT count(*) FROM words")
        assert written == 0
    assert_sound(tmp_path)


# Read-only, or moved


async def test_a_database_that_becomes_read_only_takes_nothing_and_goes_on_when_it_is_not(
    tmp_path: Path,
) -> None:
    async with open_connection(tmp_path / DATABASE_NAME) as database:
        await database.execute("CREATE TABLE words (word TEXT)")
        writer = WriteQueue(database)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO words VALUES ('houba')")

        await database.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="is read-only"):
            await writer.submit(write)
        await database.execute("PRAGMA query_only = OFF")
        await writer.submit(write)
        await writer.close()
        ((written,),) = await database.execute_fetchall("SELECT count(*) FROM words")
        assert written == 1
    assert_sound(tmp_path)


_LOSES_ITS_FILE = """
async def main():
    async with opened() as store:
        await store.accept_message(make_message(1))
        say("accepted", 1)
        sys.stdin.readline()
        try:
            await store.accept_message(make_message(2))
        except StoreError as error:
            say("refused", error)
        sys.stdin.readline()
        say((await store.accept_message(make_message(2))).status)
asyncio.run(main())
"""


def test_a_file_that_is_moved_away_under_the_bot_takes_nothing_more(tmp_path: Path) -> None:
    """SQLite itself would go on, and the next start would miss those writes."""
    folder, away = tmp_path / "data", tmp_path / "away.db"
    with process(_LOSES_ITS_FILE, folder) as other:
        assert line_of(other) == "accepted 1"
        (folder / DATABASE_NAME).rename(away)
        _type(other, "moved")
        refused = line_of(other)
        assert refused.startswith(f"refused {faults.MOVED}")
        away.rename(folder / DATABASE_NAME)
        _type(other, "back")
        assert line_of(other) == "scheduled"
        other.communicate(timeout=30)
    assert other.returncode == 0
    assert_sound(folder)


def _type(other: subprocess.Popen[str], line: str) -> None:
    assert other.stdin is not None
    other.stdin.write(f"{line}\n")
    other.stdin.flush()


@pytest.mark.parametrize(
    ("what", "words"),
    [("file", "cannot be opened for writing"), ("folder", faults.NOT_WRITABLE)],
)
def test_a_database_that_may_only_be_read_gets_clear_words(what: str, words: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_takes_messages(folder))
        folder.chmod(0o777 if what == "file" else 0o555)
        for file in folder.iterdir():
            file.chmod(0o666)
        if what == "file":
            (folder / DATABASE_NAME).chmod(0o444)
        ended = subprocess.run(
            [sys.executable, "-c", AS_OTHER_ACCOUNT, name],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        folder.chmod(0o700)
        assert words in ended.stdout
        assert_sound(folder)
        assert asyncio.run(is_recorded(folder, 5))


# Damaged


async def a_grown_database(folder: Path) -> None:
    async with opened(folder) as store:
        await asyncio.gather(
            *(
                store.accept_message(make_message(n, text="Python " * 100, user=f"U{n}"))
                for n in range(1, 60)
            )
        )


async def test_a_damaged_page_is_noticed_at_the_start(tmp_path: Path) -> None:
    """Before new data is added to what will be lost."""
    await a_grown_database(tmp_path)
    file = tmp_path / DATABASE_NAME
    pages = file.stat().st_size // PAGE
    assert pages > 20
    for number in (1, pages // 2, pages - 1):
        whole = file.read_bytes()
        with file.open("r+b") as damaged:
            damaged.seek(number * PAGE)
            damaged.write(bytes(octet ^ 0xFF for octet in whole[number * PAGE :][:PAGE]))
        with pytest.raises(StoreError, match="the database is damaged"):
            async with opened(tmp_path):
                pytest.fail("opened")
        assert not checks.check_database(tmp_path, min_free_bytes=0).ok
        file.write_bytes(whole)
    assert await is_recorded(tmp_path, 1)


async def test_a_garbled_header_is_noticed_at_the_start(tmp_path: Path) -> None:
    await a_grown_database(tmp_path)
    with (tmp_path / DATABASE_NAME).open("r+b") as damaged:
        damaged.write(b"garbage!" * 4)
    before = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(StoreError, match="the database is damaged"):
        async with opened(tmp_path):
            pytest.fail("opened")
    assert (tmp_path / DATABASE_NAME).read_bytes() == before, "what can be saved must be left alone"


async def test_a_large_database_does_not_hold_up_the_start(tmp_path: Path) -> None:
    """What cannot be read through in time does not count as damaged."""
    await a_grown_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        assert checks.find_damage(database, -1.0) is None


_DIES_WITH_A_LOG = """
async def main():
    async with opened() as store:
        for second in range(1, 6):
            await store.accept_message(make_message(second))
        say("accepted")
        sys.stdin.readline()
asyncio.run(main())
"""


@pytest.mark.parametrize("left", ["nothing", "half"])
def test_a_log_that_was_lost_takes_its_messages_along_and_nothing_else(
    tmp_path: Path, left: str
) -> None:
    """An operator cleans up after a crash, or copies the database without its log."""
    with process(_DIES_WITH_A_LOG, tmp_path) as other:
        assert line_of(other) == "accepted"
        os.kill(other.pid, signal.SIGKILL)
        other.communicate(timeout=30)
    log = tmp_path / f"{DATABASE_NAME}-wal"
    assert log.stat().st_size > 0
    if left == "half":
        os.truncate(log, log.stat().st_size // 2)
    else:
        log.unlink()
    assert asyncio.run(_takes_messages(tmp_path))
    assert_sound(tmp_path)


async def _takes_messages(folder: Path) -> bool:
    async with opened(folder) as store:
        return (await store.accept_message(make_message(5))).status is AcceptStatus.SCHEDULED
