"""Provides the system clock, and time limits that exclude the time in which this process stalled.

Code that waits or measures is given a `Clock`, so that tests can move the time. While this process
is stopped, or too busy to read, input collects: after such a stall it is read before a wait ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol


class Clock(Protocol):
    """A source of time that tests can move."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` have passed on this clock."""
        ...


_SLICE_SECONDS: Final = 5.0
"""Maximum duration of one part of a wait. A stall shows as a part that takes too long."""
_STALL_SECONDS: Final = 2.0
"""Minimum lateness, in seconds, that counts as a stall: a loop that works is never that late."""
_GRACE_SECONDS: Final = 2.0
"""Minimum time, in seconds, that a wait goes on after a stall, to read what arrived during it."""


class SystemClock:
    """`Clock` on the system's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Final = SystemClock()
"""For waits on other processes, which no test can hurry."""


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout`, on a `Clock`. Raises `TimeoutError` when `seconds` have passed in
    which this process did not stall."""
    async with asyncio.timeout(None) as limit:
        timer: _LoopTimeout | asyncio.Task[None]
        if type(clock) is SystemClock:
            timer = _LoopTimeout(limit, seconds)
        else:
            timer = asyncio.create_task(_expire(limit, clock, seconds))
        try:
            yield
        finally:
            timer.cancel()


async def sleep_excluding_stalls(
    clock: Clock, seconds: float, *, since: Callable[[], float] | None = None
) -> None:
    """Wait until `seconds` have passed in which this process did not stall: what arrives during a
    stall can be read first. `since` returns a time on the clock that may move; with it the wait
    counts from there."""
    start = clock.monotonic() if since is None else since()
    while (left := start + seconds - clock.monotonic()) > 0:
        part, slept_at = min(left, _SLICE_SECONDS), clock.monotonic()
        await clock.sleep(part)
        now = clock.monotonic()
        active = start if since is None else since()
        late = now - slept_at - part
        if late < _STALL_SECONDS:
            start = max(start, active)
            continue
        if active <= slept_at + part:  # before the stall
            start = max(start, active)
        start = max(active, _extended_deadline(start + seconds, late, now, seconds) - seconds)


def _extended_deadline(end: float, late: float, now: float, seconds: float) -> float:
    """The new end of a wait of `seconds` that was due at `end`, after a stall that made it `late`
    by so many seconds."""
    return max(end + late, now + min(_GRACE_SECONDS, seconds))


class _LoopTimeout:
    """Like `_expire` on the system clock, with the loop's own timers. Each turn makes several calls
    with a limit, and a task for each costs ten times as much."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._schedule_check()

    def cancel(self) -> None:
        """Remove the limit."""
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
