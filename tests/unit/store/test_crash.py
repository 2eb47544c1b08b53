"""Checks that what was acknowledged survives a crash of the process or an error of the disk."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.domain.turns import AcceptStatus, TurnState
from bot.errors import DataFolderInUse
from bot.store import open_store
from tests.contracts.messages import make_message, ts_at
from tests.fakes import ManualClock

_HEAD = """
import asyncio, sys
from pathlib import Path
from bot.clock import SystemClock
from bot.errors import StoreError
from bot.domain.turns import TurnResult, TurnState
from bot.store import open_store
from tests.contracts.messages import make_message
folder = Path(sys.argv[1])
def say(*words):
    print(*words, flush=True)
def opened():
    return open_store(folder, clock=SystemClock(), max_running_per_user=2, max_waiting=1_000_000)
"""

_ACCEPTS_FOR_EVER = """
async def one(second):
    await store.accept_message(make_message(second))
    say(second)
async def main():
    global store
    async with opened() as store:
        for first in range(0, 10_000_000, 8):
            await asyncio.gather(*(one(second) for second in range(first, first + 8)))
asyncio.run(main())
"""

_FINISHES_LATE = """
async def main():
    async with opened() as store:
        await store.accept_message(make_message(1))
        turn = (await store.claim()).turn
        say("claimed")
        sys.stdin.readline()
        say(await store.record_result(turn, TurnResult(state=TurnState.DONE, answer="late")))
        say(await store.finish_turn(turn, TurnState.DONE))
asyncio.run(main())
"""

_FILLS_THE_DISK = """
import resource
async def main():
    async with opened() as store:
        await store.accept_message(make_message(0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, resource.RLIM_INFINITY))
        for second in range(1, 1_000):
            try:
                await store.accept_message(make_message(second, text="Python " * 500))
            except StoreError as error:
                say("full", second)
                break
            say("accepted", second)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        say((await store.accept_message(make_message(second, text="Python " * 500))).status, second)
asyncio.run(main())
"""


@contextmanager
def process(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process on the folder, killed at the end if it has not ended by then."""
    other = subprocess.Popen(
        [sys.executable, "-c", _HEAD + script, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    try:
        yield other
    finally:
        other.kill()
        other.communicate(timeout=30)


def line_of(other: subprocess.Popen[str]) -> str:
    assert other.stdout is not None
    return other.stdout.readline().strip()


def assert_sound(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "threadpilot.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_a_copy_taken_after_accepting_holds_the_message(tmp_path: Path) -> None:
    """Nothing of it is only in the memory of the process."""
    async with open_store(tmp_path / "data", clock=ManualClock(), max_running_per_user=2) as store:
        await store.accept_message(make_message(1))
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
    async with open_store(tmp_path / "copy", clock=ManualClock(), max_running_per_user=2) as copy:
        assert (await copy.accept_message(make_message(1))).status is AcceptStatus.DUPLICATE
        turn = (await copy.claim()).turn
        assert turn is not None
        assert turn.message == make_message(1)


async def test_killed_at_any_time_it_has_what_it_acknowledged(tmp_path: Path) -> None:
    for enough in (1, 40, 150):
        folder = tmp_path / str(enough)
        with process(_ACCEPTS_FOR_EVER, folder) as other:
            acknowledged = [line_of(other) for _ in range(enough)]
            os.kill(other.pid, signal.SIGKILL)
            acknowledged += other.communicate(timeout=30)[0].split()
        assert_sound(folder)
        async with open_store(folder, clock=SystemClock(), max_running_per_user=2) as store:
            for second in map(int, acknowledged):
                assert await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(second)) is not None


async def test_a_frozen_process_still_holds_its_folder(tmp_path: Path) -> None:
    """It continues as before, so no other process may have claimed its turns."""
    with process(_FINISHES_LATE, tmp_path) as other:
        assert line_of(other) == "claimed"
        os.kill(other.pid, signal.SIGSTOP)
        with pytest.raises(DataFolderInUse, match=str(other.pid)):
            async with open_store(tmp_path, clock=SystemClock(), max_running_per_user=2):
                pytest.fail("two at once")
        os.kill(other.pid, signal.SIGCONT)
        assert other.communicate("go\n", timeout=30)[0].split() == ["True", "True"]


async def test_a_frozen_process_cannot_end_what_was_taken_over(tmp_path: Path) -> None:
    """An operator deleted the lock file of a process that hung, and started another."""
    with process(_FINISHES_LATE, tmp_path) as other:
        assert line_of(other) == "claimed"
        os.kill(other.pid, signal.SIGSTOP)
        (tmp_path / "threadpilot.lock").unlink()
        async with open_store(tmp_path, clock=SystemClock(), max_running_per_user=2) as store:
            (taken,) = await store.recover()
            os.kill(other.pid, signal.SIGCONT)
            assert other.communicate("go\n", timeout=30)[0].split() == ["False", "False"]
            assert await store.running_turn(taken.message.thread) == taken
            assert await store.finish_turn(taken, TurnState.LOST)


async def test_a_full_disk_leaves_no_half_recorded_message(tmp_path: Path) -> None:
    with process(_FILLS_THE_DISK, tmp_path) as other:
        lines = [line.split() for line in other.communicate(timeout=60)[0].splitlines()]
    assert other.returncode == 0
    *accepted, (full, failed), (again, last) = lines
    assert accepted
    assert {word for word, _ in accepted} == {"accepted"}
    assert (full, again) == ("full", "scheduled")
    assert failed == last
    assert_sound(tmp_path)
    async with open_store(tmp_path, clock=SystemClock(), max_running_per_user=2) as store:
        for _, second in accepted:
            assert await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(int(second))) is not None
