"""Provides the emulator's time: the machine's time, which `/sandbox/clock` can advance.

An advance wakes sleeping tasks, so tests see at once what Slack does after minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol


class BaseClock(Protocol):
    """The underlying time; tests pass their own."""

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
    """A base clock plus an offset."""

    def __init__(self, base: BaseClock | None = None) -> None:
        self._base = base or SystemClock()
        self._offset = 0.0
        self._advanced = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch, in the emulator's time."""
        return self._base.now() + self._offset

    def advance(self, seconds: float) -> None:
        """Advance the clock. Raises ValueError for a negative number of seconds."""
        if seconds < 0:
            raise ValueError("The clock only goes forward.")
        self._offset += seconds
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep until the emulator's time is `seconds` later, by waiting or by an advance."""
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
    """True if `future` is done before the emulator's clock has advanced by `seconds`."""
    timeout = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({future, timeout}, return_when=asyncio.FIRST_COMPLETED)
        return future.done()
    finally:
        timeout.cancel()
        await asyncio.gather(timeout, return_exceptions=True)


MAX_TIMERS: Final = 5_000


class Timers:
    """A bounded number of delayed callbacks; above the bound the oldest is cancelled."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._pending: dict[asyncio.Task[None], None] = {}

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` when the clock has advanced by `seconds`."""
        if len(self._pending) >= MAX_TIMERS:
            next(iter(self._pending)).cancel()
        task = asyncio.create_task(self._call_after(seconds, callback))
        self._pending[task] = None
        task.add_done_callback(lambda done: self._pending.pop(done, None))

    async def _call_after(self, seconds: float, callback: Callable[[], None]) -> None:
        await self._clock.sleep(seconds)
        callback()

    async def cancel_all(self) -> None:
        """Cancel all callbacks."""
        waiting = list(self._pending)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
