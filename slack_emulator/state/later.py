"""What happens by itself after a while, by the sandbox's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from slack_emulator.state.clock import SandboxClock

MAX_WAITING: Final = 5_000


class Later:
    """A bounded number of things that are still to happen; beyond it the oldest is given up."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._waiting: dict[asyncio.Task[None], None] = {}

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Call `happen` once the clock has gone on by that much."""
        if len(self._waiting) >= MAX_WAITING:
            next(iter(self._waiting)).cancel()
        task = asyncio.create_task(self._wait(seconds, happen))
        self._waiting[task] = None
        task.add_done_callback(lambda done: self._waiting.pop(done, None))

    async def _wait(self, seconds: float, happen: Callable[[], None]) -> None:
        await self._clock.sleep(seconds)
        happen()

    async def forget(self) -> None:
        """None of it happens any more."""
        waiting = list(self._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
