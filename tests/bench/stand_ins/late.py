"""Never ends, and leaves a program running that never ends either."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from bench.comparison import Row
from bench.ground import Ground

NOTE: Final = "BENCH_TEST_NOTE"
"""Name of the variable with the file for the program's process id, on one line."""
NOTED_SECONDS: Final = 60.0


async def rows(_: Ground) -> list[Row]:
    forever = "import time; time.sleep(600)"
    left = await asyncio.create_subprocess_exec(sys.executable, "-c", forever)
    if place := os.environ.get(NOTE):
        Path(place).write_text(f"{left.pid}\n", encoding="utf-8")  # noqa: ASYNC240
    await asyncio.Event().wait()
    raise AssertionError("an unknown event was set")


def noted_in(place: Path) -> int:
    """The process id of the program that was left running, once it is written."""
    until = time.monotonic() + NOTED_SECONDS
    while not (place.exists() and place.read_text(encoding="utf-8").endswith("\n")):
        assert time.monotonic() < until, "no program was started"
        time.sleep(0.01)
    return int(place.read_text(encoding="utf-8"))


def runs(pid: int) -> bool:
    """True if a process runs and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
