"""Provides clocks for tests: advanced by hand, with an offset, or fast.

The emulator (`slack_emulator`) replaces Slack, and `tests.scripted_model` replaces the model.
Nothing else is replaced, and no part of the bot.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from contextlib import suppress


class ManualClock:
    """A `bot.ports.Clock` that only `advance` moves."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self._now = now
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Advance the clock. Sleeps that end within this time wake in order, each at its time."""
        until = self._elapsed + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        self._elapsed = until

    def set_to(self, seconds: float) -> None:
        """Set the time of day forward or back; the monotonic time continues unchanged."""
        self._now += seconds

    async def jump(self, seconds: float) -> None:
        """Advance the clock as if the process had been stopped: sleeps that are due wake at the
        end."""
        await _settle()
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
        await _settle()

    @property
    def sleeping(self) -> int:
        """Number of sleeps that are running."""
        return sum(not woken.done() for _, _, woken in self._sleepers)


async def _settle() -> None:
    """Let woken tasks run until they sleep again."""
    for _ in range(20):
        await asyncio.sleep(0)


class QuickClock:
    """A `bot.ports.Clock` on which a second is a fiftieth: pauses end soon, in their order."""

    speed = 50.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class OffsetClock:
    """A `bot.ports.Clock` that runs with real time and can be moved forward. Sleeps that are due
    then wake at once."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        await asyncio.sleep(0)
        while (left := until - self.monotonic()) > 0:
            moved = self._moved
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await moved.wait()

    def move_forward(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def pass_by(self, seconds: int) -> None:
        """Move the clock forward a second at a time, so that no task finds that it slept too
        long."""
        for _ in range(seconds):
            self.move_forward(1.0)
            for _ in range(5):
                await asyncio.sleep(0)
