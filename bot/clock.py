"""The real time. What waits or measures takes a `Clock` by hand, so that tests can move it."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`bot.ports.Clock` on the machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
