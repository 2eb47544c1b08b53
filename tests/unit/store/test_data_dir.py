"""Checks the data folder: private, locked by one process, with clear errors."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from bot.errors import DataFolderInUse, SchemaTooNew, StoreError
from bot.ports import Store
from bot.store import open_store
from bot.store.sqlite.schema import MIGRATIONS
from tests.contracts.messages import make_message
from tests.fakes import ManualClock


def opened(folder: Path) -> AbstractAsyncContextManager[Store]:
    return open_store(folder, clock=ManualClock(), max_running_per_user=2)


def connections_left_open() -> list[threading.Thread]:
    """Threads of the driver that do not end: each would block the exit of the program."""
    threads = [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]
    for thread in threads:
        thread.join(timeout=5.0)
    return [thread for thread in threads if thread.is_alive()]


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    async with opened(folder) as store:
        await store.accept_message(make_message(1))
        rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {"threadpilot.db", "threadpilot.db-wal", "threadpilot.lock"} <= set(rights)
    assert set(rights.values()) == {0o600}


async def test_what_others_could_read_is_taken_from_them(tmp_path: Path) -> None:
    """A folder that existed before, and a restored backup, for any umask."""
    folder = tmp_path / "data"
    before = os.umask(0)
    try:
        folder.mkdir()
        (folder / "threadpilot.db").touch()
        async with opened(folder) as store:
            await store.accept_message(make_message(1))
            rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {"threadpilot.db", "threadpilot.db-wal", "threadpilot.db-shm"} <= set(rights)
    assert set(rights.values()) == {0o600}


async def test_a_second_one_learns_who_holds_it(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
            async with opened(tmp_path):
                pytest.fail("two at once")
    async with opened(tmp_path) as store:
        assert (await store.claim()).turn is None


async def test_a_lock_file_left_lying_there_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "threadpilot.lock").write_text("4711\n")
    async with opened(tmp_path) as store:
        assert (await store.claim()).turn is None


async def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    newer = MIGRATIONS[-1].number + 1
    with closing(sqlite3.connect(tmp_path / "threadpilot.db")) as database:
        database.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(SchemaTooNew, match=f"schema {newer}"):
        async with opened(tmp_path):
            pytest.fail("opened")
    assert connections_left_open() == []


async def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "threadpilot.db").write_text("Dear diary, " * 200)
    with pytest.raises(StoreError) as raised:
        async with opened(tmp_path):
            pytest.fail("opened")
    assert isinstance(raised.value.__cause__, sqlite3.DatabaseError)
    assert (tmp_path / "threadpilot.db").read_text().startswith("Dear diary")
    assert connections_left_open() == []


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match="DATA_DIR"):
        async with opened(tmp_path / "data"):
            pytest.fail("opened")


async def test_a_database_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "threadpilot.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        async with opened(tmp_path):
            pytest.fail("opened")


AS_OTHER_ACCOUNT = """
import asyncio, os, sys
from pathlib import Path
from bot.clock import SystemClock
from bot.errors import StoreError
from bot.store import open_store
if os.geteuid() == 0:  # whom no rights of a folder hold back
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
async def main():
    try:
        async with open_store(Path(sys.argv[1]), clock=SystemClock(), max_running_per_user=1):
            print("opened")
    except StoreError as error:
        print(error)
asyncio.run(main())
"""


def test_a_folder_that_may_not_be_written_gets_clear_words() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        ended = subprocess.run(
            [sys.executable, "-c", AS_OTHER_ACCOUNT, folder],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert "DATA_DIR must be a folder that the bot's account can write to" in ended.stdout


async def test_the_queue_is_counted_right(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for second in range(5):
            await store.accept_message(make_message(second))
        turn = (await store.claim()).turn
        assert turn is not None
        await store.requeue(turn)
        await store.claim()
        waiting = await store.turn_by_ts("T0SANDBOX", "C0GENERAL", make_message(4).ts)
        assert waiting is not None
        await store.withdraw(waiting)
    with closing(sqlite3.connect(tmp_path / "threadpilot.db")) as database:
        assert database.execute("SELECT waiting FROM queue").fetchall() == [(3,)]
        database.execute("DELETE FROM turns WHERE state = 'waiting'")
        assert database.execute("SELECT waiting FROM queue").fetchall() == [(0,)]
