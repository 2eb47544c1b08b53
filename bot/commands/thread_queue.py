"""The place of orders in their threads: what changes what a thread goes on with is carried out in
the order in which people wrote, also where Slack, or whoever is asked on the way, is slow.

    an order is put on record, in its place → later questions are not claimed; later orders wait
    its turn has come                       → it is carried out, within a bounded time
    it is carried out                       → what waited goes on; who gave it is told meanwhile

That questions wait is the database's business (`bot.domain.commands.Hold`), orders wait for one
another here. `bot.commands.registry` says which orders have a place.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bot.clock import time_limit
from bot.commands.parser import without_handle
from bot.commands.registry import VERBS, Meant, Timing
from bot.domain.commands import Hold, Order
from bot.domain.messages import TS, ts_position
from bot.errors import StoreError
from bot.ports import Clock, Store
from bot.tasks import either

log = logging.getLogger(__name__)

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
    """The orders that are on record and not yet carried out, by the threads that wait for them."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` is called when questions may go on that waited for an order."""
        self._store = store
        self._clock = clock
        self._wake = wake
        self._placed: dict[str, _Placed] = {}  # by key
        self._numbers = itertools.count()
        self._change = asyncio.Event()

    async def put(self, order: Order) -> bool:
        """Put an order on record, in its place; False when it was recorded before. Raises
        `StoreError`."""
        hold = await self._hold(order)
        if hold is None:
            return await self._store.accept_order(order)
        placed = self._take(order.key, hold)
        fresh = False
        try:
            fresh = await self._store.accept_order(order, hold)
        finally:
            if placed and not fresh:
                self._leave(order.key)
        return fresh

    async def take_up(self) -> Sequence[tuple[Order, bool]]:
        """For the start: the orders that were not carried out, or that nobody was told of, and
        whether each has its place still. Raises `StoreError`."""
        left = await self._store.unfinished_orders()
        holds = await self._store.renew_holds(self._clock.now() + HOLD_SECONDS)
        for order in left:
            if order.key in holds:
                self._take(order.key, holds[order.key])
        return tuple((order, order.key in holds) for order in left)

    async def let_go(self, order: Order) -> None:
        """Nothing is to wait for an order any more: it is carried out, or will not be. Never
        raises: what cannot be let go of now goes on when the order is done with, or when its time
        is over."""
        if order.key not in self._placed:
            return
        try:
            await self._store.release_order(order.key)
        except StoreError as error:
            log.warning("what waits for order %s goes on later: %s", order.verb, error)
            return
        self._leave(order.key)

    async def done(self, order: Order) -> None:
        """An order is done with: whoever gave it has been told. Raises `StoreError`."""
        await self._store.finish_order(order.key)
        self._leave(order.key)

    def position(self, order: Order) -> int:
        """Where an order stands in its thread: at the message that gave it, else where it came
        in."""
        placed = self._placed.get(order.key)
        if placed is not None:
            return placed.hold.position
        if TS.fullmatch(order.ts):
            return ts_position(order.ts)
        return int(self._clock.now() * 1_000_000)

    def given(self, order: Order) -> float:
        """When an order that has a place came in; the present for others."""
        placed = self._placed.get(order.key)
        return self._clock.now() if placed is None else placed.given

    @asynccontextmanager
    async def turn_of(self, order: Order) -> AsyncIterator[None]:
        """Wait until an order's turn has come. Raises `TimeoutError` where one that has a place
        takes too long inside, or came to its turn too late."""
        placed = self._placed.get(order.key)
        if placed is None:
            if order.thread is not None and _timing_of(order) is Timing.BEHIND:
                threads = frozenset({order.thread})
                hold = Hold(threads=threads, position=self.position(order), until=0.0)
                await self._none_before(self._newest(hold))
            yield
            return
        await self._none_before(placed)
        if placed.until <= self._clock.monotonic():
            raise TimeoutError  # nothing waits for it any more
        placed.begun = True
        async with time_limit(self._clock, CARRY_SECONDS):
            yield

    async def _hold(self, order: Order) -> Hold | None:
        """What has to wait for an order; None where nothing has. Raises `StoreError`."""
        if _timing_of(order) is not Timing.WITHIN:
            return None
        threads = set() if order.thread is None else {order.thread}
        if VERBS[order.verb].meant is Meant.SESSION:
            _, number = without_handle(order.words.strip())
            named = None if number is None else await self._store.session(number)
            threads |= set() if named is None else {named.thread}
        if not threads:
            return None
        until = self._clock.now() + HOLD_SECONDS
        return Hold(threads=frozenset(threads), position=self.position(order), until=until)

    def _take(self, key: str, hold: Hold) -> bool:
        """Give an order its place; False where it has it already."""
        now = self._clock.monotonic()
        for gone in [each for each, placed in self._placed.items() if placed.until <= now]:
            self._leave(gone)
        if key in self._placed:
            return False
        self._placed[key] = self._newest(hold)
        return True

    def _leave(self, key: str) -> None:
        if self._placed.pop(key, None) is not None:
            self._change.set()
            self._change = asyncio.Event()
            self._wake()

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


def _timing_of(order: Order) -> Timing:
    verb = VERBS.get(order.verb)
    return Timing.BESIDE if verb is None else verb.timing_with(order.words)


def _goes_before(other: _Placed, one: _Placed) -> bool:
    """Whether an order that has its place waits for another one: for one that is under way, and for
    one that was given before it."""
    if other is one or not other.hold.threads & one.hold.threads:
        return False
    earlier = (other.hold.position, other.number) < (one.hold.position, one.number)
    return other.begun or earlier
