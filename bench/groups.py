"""Groups of rows: measured one after another, each in a process of its own and within its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.alone import WorthlessError, read
from bench.comparison import Row

PUT_AWAY_SECONDS: Final = 10.0
"""How long a group that is too late may take to end what it has started."""
GONE_SECONDS: Final = 5.0
"""How long what was killed may take to be gone."""
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together."""

    name: str
    """What it is called on the command line."""
    title: str
    """What it is called in the report."""
    module: str
    """The import name of what measures it, by `async def rows(ground: Ground) -> list[Row]`."""
    seconds: float
    """Its share of the time. What a group does not use, those after it have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a group."""

    group: Group
    rows: tuple[Row, ...] = ()
    why: str = ""
    """Why nothing was measured; empty where it was."""
    less: tuple[str, ...] = ()
    """What was measured less of than planned."""
    seconds: float = 0.0
    """How long it took."""


def parts(groups: Sequence[Group]) -> Iterator[tuple[Group, float]]:
    """Each group with the part that it may use of the time that is left when its turn comes: of
    what it leaves, all after it have more."""
    left = sum(group.seconds for group in groups)
    for group in groups:
        yield group, group.seconds / left
        left -= group.seconds


async def measured(
    group: Group, seconds: float, *, tiny: bool = False, pace: float = 1.0
) -> Outcome:
    """Measure a group, in so many seconds at most and a few more for putting away what it has
    started, and with sizes for a machine of this pace. Never raises for what the group does."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        outcome_file = Path(folder, "outcome.json")
        given = ["--seconds", str(seconds), "--pace", str(pace), *(["--tiny"] if tiny else [])]
        done = await _measure((group.module, folder, str(outcome_file), *given), seconds)
        took = time.monotonic() - began
        if not done:
            return Outcome(group, why=f"not done within {seconds:.0f} s", seconds=took)
        try:
            rows, less = read(outcome_file)
            return Outcome(group, rows, less=less, seconds=took)
        except WorthlessError as error:
            return Outcome(group, why=str(error), seconds=took)


async def _measure(arguments: Sequence[str], seconds: float) -> bool:
    """Whether it is done in time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.alone", *arguments),
        cwd=_ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us alone: what runs is put away in order
    )
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    finally:
        await _put_away(process)
    return True


async def _put_away(process: Process) -> None:
    """End a process and all that it has started; asked first, for a while."""
    started = _descendants(process.pid)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PUT_AWAY_SECONDS)
    if process.returncode is None:
        started += _descendants(process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    for one in started:
        with contextlib.suppress(psutil.Error):
            one.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what lost its parent
    for _ in range(100):  # what is killed takes a moment to be gone
        if not any(map(_runs, started)):
            break
        await asyncio.sleep(GONE_SECONDS / 100)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
