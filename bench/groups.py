"""Runs groups of rows one after another, each in its own process and within its time."""

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
"""Timeout in seconds for a late group to end its processes."""
GONE_SECONDS: Final = 5.0
"""Timeout in seconds for killed processes to disappear."""
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together."""

    name: str
    """The name on the command line."""
    title: str
    """The name in the report."""
    module: str
    """The module that measures it, by `async def rows(ground: Ground) -> list[Row]`."""
    seconds: float
    """Its share of the time. The following groups get the time that it does not use."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a group."""

    group: Group
    rows: tuple[Row, ...] = ()
    why: str = ""
    """The reason why nothing was measured, or an empty string."""
    less: tuple[str, ...] = ()
    """What was less than planned."""
    seconds: float = 0.0
    """Duration in seconds."""


def parts(groups: Sequence[Group]) -> Iterator[tuple[Group, float]]:
    """Each group with its maximum share of the time that is left at its start."""
    left = sum(group.seconds for group in groups)
    for group in groups:
        yield group, group.seconds / left
        left -= group.seconds


async def measured(
    group: Group, seconds: float, *, tiny: bool = False, pace: float = 1.0
) -> Outcome:
    """Measure a group for at most `seconds`, plus a few for ending its processes.

    `pace` sets the sizes. Errors of the group are in the outcome and not raised.
    """
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
    """Run the group; True if it ended in time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.alone", *arguments),
        cwd=_ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches this process only, which ends the others in order
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
    """End a process and its descendants: SIGTERM first, and SIGKILL after the timeout."""
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
        os.killpg(process.pid, signal.SIGKILL)  # processes without a parent
    for _ in range(100):  # a killed process takes a moment to disappear
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
