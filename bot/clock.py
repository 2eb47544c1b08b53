"""The real time. What waits or measures takes a `Clock` by hand, so that tests can move it.

Nobody concludes anything from an absence of our own: while this process was stopped, or too busy to
look at anything, others may have said much, and it waits to be read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol


class Clock(Protocol):
    """Time, handed in so that tests can move it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring."""
        ...

    async def sleep(self, seconds: float) -> None: ...


_SLICE_SECONDS: Final = 5.0
"""So long is each part of a long wait: an absence is noticed by a part that takes too long."""
_STALL_SECONDS: Final = 2.0
"""Who wakes so much too late was away: no loop that can do its work is that late."""
_GRACE_SECONDS: Final = 2.0
"""So much time there is at least, after an absence, to read what has come meanwhile."""


class SystemClock:
    """`bot.ports.Clock` on the machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Final = SystemClock()
"""For what is about other processes, which no test can hurry."""


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout` by a clock: raises `TimeoutError` when so much time has passed on it, in
    which this process was not away."""
    async with asyncio.timeout(None) as limit:
        passing: _LoopTimeout | asyncio.Task[None]
        if type(clock) is SystemClock:
            passing = _LoopTimeout(limit, seconds)
        else:
            passing = asyncio.create_task(_expire(limit, clock, seconds))
        try:
            yield
        finally:
            passing.cancel()


async def sleep_excluding_stalls(
    clock: Clock, seconds: float, *, since: Callable[[], float] | None = None
) -> None:
    """Wait until so much time has passed in which this process was not away: after an absence what
    came meanwhile can be read first. With `since`, a moment on the clock that may move, so much
    time since then."""
    begun = clock.monotonic() if since is None else since()
    while (left := begun + seconds - clock.monotonic()) > 0:
        part, asleep = min(left, _SLICE_SECONDS), clock.monotonic()
        await clock.sleep(part)
        now = clock.monotonic()
        heard = begun if since is None else since()
        late = now - asleep - part
        if late < _STALL_SECONDS:
            begun = max(begun, heard)
            continue
        if heard <= asleep + part:  # before the absence
            begun = max(begun, heard)
        begun = max(heard, _extended_deadline(begun + seconds, late, now, seconds) - seconds)


def _extended_deadline(end: float, late: float, now: float, seconds: float) -> float:
    """When a wait of so many seconds ends that was to end at `end`, after an absence that made it
    so late: what came meanwhile can be read first."""
    return max(end + late, now + min(_GRACE_SECONDS, seconds))


class _LoopTimeout:
    """Like `_expire` on the machine's clock, by the loop's own timers: each turn makes several
    calls with a limit, and a task for each costs ten times as much."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._schedule_check()

    def cancel(self) -> None:
        """It does not count any more."""
        self._timer.cancel()

    def _schedule_check(self) -> None:
        now = self._loop.time()
        self._next_check_at = now + min(max(0.0, self._deadline - now), _SLICE_SECONDS)
        self._timer = self._loop.call_at(self._next_check_at, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        late = now - self._next_check_at
        if late >= _STALL_SECONDS:
            self._deadline = _extended_deadline(self._deadline, late, now, self._seconds)
        if now < self._deadline:
            self._schedule_check()
        else:
            self._timeout.reschedule(now)


async def _expire(timeout: asyncio.Timeout, clock: Clock, seconds: float) -> None:
    await sleep_excluding_stalls(clock, seconds)
    timeout.reschedule(asyncio.get_running_loop().time())
