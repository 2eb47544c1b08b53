"""The sandbox's time: the machine's, which `/sandbox/clock` can move forward.

Moving it wakes whoever sleeps, so that what Slack does after minutes can be seen at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol


class BaseClock(Protocol):
    """The time underneath; tests hand in one of their own."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class EmulatorClock:
    """A base clock plus what it was moved by."""

    def __init__(self, base: BaseClock | None = None) -> None:
        self._base = base or SystemClock()
        self._offset = 0.0
        self._advanced = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch, as the sandbox sees it."""
        return self._base.now() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward; never back. ValueError for less than 0."""
        if seconds < 0:
            raise ValueError("The clock only goes forward.")
        self._offset += seconds
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Until the sandbox's time is that much later, by waiting or by being moved."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            moved = asyncio.ensure_future(self._advanced.wait())
            slept = asyncio.ensure_future(self._base.sleep(left))
            try:
                await asyncio.wait({moved, slept}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                moved.cancel()
                slept.cancel()
                await asyncio.gather(moved, slept, return_exceptions=True)


async def finishes_within(
    clock: EmulatorClock, seconds: float, future: asyncio.Future[None]
) -> bool:
    """Whether `wanted` is done before the sandbox's clock has gone on by `seconds`."""
    timeout = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({future, timeout}, return_when=asyncio.FIRST_COMPLETED)
        return future.done()
    finally:
        timeout.cancel()
        await asyncio.gather(timeout, return_exceptions=True)


MAX_TIMERS: Final = 5_000


class Timers:
    """A bounded number of things that are still to happen; beyond it the oldest is given up."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._pending: dict[asyncio.Task[None], None] = {}

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `happen` once the clock has gone on by that much."""
        if len(self._pending) >= MAX_TIMERS:
            next(iter(self._pending)).cancel()
        task = asyncio.create_task(self._call_after(seconds, callback))
        self._pending[task] = None
        task.add_done_callback(lambda done: self._pending.pop(done, None))

    async def _call_after(self, seconds: float, callback: Callable[[], None]) -> None:
        await self._clock.sleep(seconds)
        callback()

    async def cancel_all(self) -> None:
        """None of it happens any more."""
        waiting = list(self._pending)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
