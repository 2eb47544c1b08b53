"""The event loop that the bot runs on: uvloop's, which does what asyncio's does in a tenth less
time (measured: `bench/NOTES.md`). Windows has none, and takes asyncio's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """Like `asyncio.run`."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that runs nothing yet."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # beside the point for commands that never run a loop

    return uvloop.new_event_loop()
