"""The real time. What waits or measures takes a `Clock` by hand, so that tests can move it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.ports import Clock


class SystemClock:
    """`bot.ports.Clock` on the machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout` by a clock: raises `TimeoutError` when so much time has passed on it."""
    async with asyncio.timeout(None) as limit:
        passing = asyncio.create_task(_expire(limit, clock, seconds))
        try:
            yield
        finally:
            passing.cancel()


async def _expire(limit: asyncio.Timeout, clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
    limit.reschedule(asyncio.get_running_loop().time())
