"""Never comes to an end, and leaves a program running that knows no end either."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from bench.ground import Ground
from bench.measuring import Row

NOTE: Final = "BENCH_TEST_NOTE"
"""The variable with the file that the program's process id is written to."""


async def rows(_: Ground) -> list[Row]:
    forever = "import time; time.sleep(600)"
    left = await asyncio.create_subprocess_exec(sys.executable, "-c", forever)
    if place := os.environ.get(NOTE):
        Path(place).write_text(str(left.pid), encoding="utf-8")  # noqa: ASYNC240
    await asyncio.Event().wait()
    raise AssertionError("somebody has set an event that nobody knows")
