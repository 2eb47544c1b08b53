"""The place of orders in their threads: what changes what a thread goes on with is carried out in
the order in which people wrote, also where Slack, or whoever is asked on the way, is slow.

That later questions wait is the database's business (`bot.records.Hold`): an order takes its place
there when it is put on record. Here orders wait for one another, each for a bounded time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bot.clock import time_limit
from bot.model import ThreadKey
from bot.ports import Clock
from bot.records import Hold
from bot.running import either

HOLD_SECONDS: Final = 300.0
"""So long at most questions wait for an order, with all that it has to wait for itself; then they
are asked all the same."""
CARRY_SECONDS: Final = 60.0
"""So long an order may take when its turn has come. Given up then, it does not come into force
after the questions that waited for it."""


@dataclass(slots=True, kw_only=True)
class _Placed:
    """An order that has a place."""

    hold: Hold
    number: int
    """Counted as they came, for those with one position."""
    given: float
    """When it came in, in seconds since the epoch by this machine's clock."""
    until: float
    """On the clock that measures."""
    begun: bool = False


class Places:
    """Which orders are on record and not yet carried out, by the threads that wait for them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._placed: dict[str, _Placed] = {}  # by key
        self._numbers = itertools.count()
        self._change = asyncio.Event()

    def take(self, key: str, hold: Hold) -> bool:
        """Give an order its place; False where it has it already."""
        now = self._clock.monotonic()
        for gone in [each for each, placed in self._placed.items() if placed.until <= now]:
            self.leave(gone)
        if key in self._placed:
            return False
        self._placed[key] = self._newest(hold)
        return True

    def leave(self, key: str) -> bool:
        """An order is done with; whether it had a place."""
        if self._placed.pop(key, None) is None:
            return False
        self._change.set()
        self._change = asyncio.Event()
        return True

    def position(self, key: str) -> int | None:
        """The position of an order that has a place."""
        placed = self._placed.get(key)
        return None if placed is None else placed.hold.position

    def given(self, key: str) -> float:
        """When an order that has a place came in; the present for others."""
        placed = self._placed.get(key)
        return self._clock.now() if placed is None else placed.given

    @asynccontextmanager
    async def turn_of(self, key: str) -> AsyncIterator[None]:
        """When the turn of an order that has a place has come. Raises `TimeoutError` where it takes
        too long inside."""
        placed = self._placed.get(key)
        if placed is None:
            yield
            return
        await self._none_before(placed)
        if placed.until <= self._clock.monotonic():
            raise TimeoutError  # nothing waits for it any more
        placed.begun = True
        async with time_limit(self._clock, CARRY_SECONDS):
            yield

    async def after(self, thread: ThreadKey, position: int) -> None:
        """Wait for the orders of a thread that were given before a position."""
        hold = Hold(threads=frozenset({thread}), position=position, until=0.0)
        await self._none_before(self._newest(hold))

    def _newest(self, hold: Hold) -> _Placed:
        return _Placed(
            hold=hold,
            number=next(self._numbers),
            given=self._clock.now(),
            until=self._clock.monotonic() + HOLD_SECONDS,
        )

    async def _none_before(self, one: _Placed) -> None:
        while left := self._left_of(one):
            await either(self._change.wait(), self._clock.sleep(left))

    def _left_of(self, one: _Placed) -> float:
        """For how many seconds at most an order has to wait; 0 for one whose turn has come."""
        now = self._clock.monotonic()
        before = (each.until for each in self._placed.values() if _goes_before(each, one))
        return max([until - now for until in before if until > now], default=0.0)


def _goes_before(other: _Placed, one: _Placed) -> bool:
    """Whether an order that has its place waits for another one: for one that is under way, and for
    one that was given before it."""
    if other is one or not other.hold.threads & one.hold.threads:
        return False
    earlier = (other.hold.position, other.number) < (one.hold.position, one.number)
    return other.begun or earlier
