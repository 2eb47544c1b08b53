"""The place of orders in their threads: what changes what a thread goes on with is carried out in
the order in which people wrote, also where Slack, or whoever is asked on the way, is slow.

    an order is put on record, in its place → later questions are not claimed; later orders wait
    its turn has come                       → it is carried out, within a bounded time
    it is carried out                       → what waited goes on; who gave it is told meanwhile

That questions wait is the database's business (`bot.domain.commands.ThreadHold`), orders wait for
one another here. `bot.commands.registry` says which orders have a place.
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
from bot.commands.parser import split_handle
from bot.commands.registry import COMMANDS, CommandTarget, CommandTiming
from bot.domain.commands import Command, ThreadHold
from bot.domain.messages import TS_PATTERN, ts_position
from bot.errors import StoreError
from bot.ports import Clock, Store
from bot.tasks import first_completed

log = logging.getLogger(__name__)

HOLD_SECONDS: Final = 300.0
"""So long at most questions wait for an order, with all that it has to wait for itself; then they
are asked all the same."""
EXECUTION_SECONDS: Final = 60.0
"""So long an order may take when its turn has come. Given up then, it does not come into force
after the questions that waited for it."""


@dataclass(slots=True, kw_only=True)
class _QueuedCommand:
    """An order that has a place."""

    hold: ThreadHold
    sequence: int
    """Counted as they came, for those with one position."""
    received_at: float
    """When it came in, in seconds since the epoch by this machine's clock."""
    deadline: float
    """On the clock that measures."""
    started: bool = False


class ThreadQueue:
    """The orders that are on record and not yet carried out, by the threads that wait for them."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` is called when questions may go on that waited for an order."""
        self._store = store
        self._clock = clock
        self._wake = wake
        self._queued: dict[str, _QueuedCommand] = {}  # by key
        self._sequence = itertools.count()
        self._changed = asyncio.Event()

    async def put(self, command: Command) -> bool:
        """Put an order on record, in its place; False when it was recorded before. Raises
        `StoreError`."""
        hold = await self._hold_for(command)
        if hold is None:
            return await self._store.accept_command(command)
        placed = self._enqueue(command.key, hold)
        fresh = False
        try:
            fresh = await self._store.accept_command(command, hold)
        finally:
            if placed and not fresh:
                self._remove(command.key)
        return fresh

    async def load_unfinished(self) -> Sequence[tuple[Command, bool]]:
        """For the start: the orders that were not carried out, or that nobody was told of, and
        whether each has its place still. Raises `StoreError`."""
        left = await self._store.unfinished_commands()
        holds = await self._store.renew_holds(self._clock.now() + HOLD_SECONDS)
        for order in left:
            if order.key in holds:
                self._enqueue(order.key, holds[order.key])
        return tuple((order, order.key in holds) for order in left)

    async def release_hold(self, command: Command) -> None:
        """Nothing is to wait for an order any more: it is carried out, or will not be. Never
        raises: what cannot be let go of now goes on when the order is done with, or when its time
        is over."""
        if command.key not in self._queued:
            return
        try:
            await self._store.release_hold(command.key)
        except StoreError as error:
            log.warning("what waits for order %s goes on later: %s", command.name, error)
            return
        self._remove(command.key)

    async def mark_done(self, command: Command) -> None:
        """An order is done with: whoever gave it has been told. Raises `StoreError`."""
        await self._store.finish_command(command.key)
        self._remove(command.key)

    def position_of(self, command: Command) -> int:
        """Where an order stands in its thread: at the message that gave it, else where it came
        in."""
        placed = self._queued.get(command.key)
        if placed is not None:
            return placed.hold.position
        if TS_PATTERN.fullmatch(command.ts):
            return ts_position(command.ts)
        return int(self._clock.now() * 1_000_000)

    def received_at(self, command: Command) -> float:
        """When an order that has a place came in; the present for others."""
        placed = self._queued.get(command.key)
        return self._clock.now() if placed is None else placed.received_at

    @asynccontextmanager
    async def in_order(self, command: Command) -> AsyncIterator[None]:
        """Wait until an order's turn has come. Raises `TimeoutError` where one that has a place
        takes too long inside, or came to its turn too late."""
        placed = self._queued.get(command.key)
        if placed is None:
            if command.thread is not None and _timing_of(command) is CommandTiming.AFTER_PENDING:
                threads = frozenset({command.thread})
                hold = ThreadHold(
                    threads=threads, position=self.position_of(command), expires_at=0.0
                )
                await self._wait_for_predecessors(self._new_entry(hold))
            yield
            return
        await self._wait_for_predecessors(placed)
        if placed.deadline <= self._clock.monotonic():
            raise TimeoutError  # nothing waits for it any more
        placed.started = True
        async with time_limit(self._clock, EXECUTION_SECONDS):
            yield

    async def _hold_for(self, command: Command) -> ThreadHold | None:
        """What has to wait for an order; None where nothing has. Raises `StoreError`."""
        if _timing_of(command) is not CommandTiming.IN_ORDER:
            return None
        threads = set() if command.thread is None else {command.thread}
        if COMMANDS[command.name].target is CommandTarget.SESSION:
            _, number = split_handle(command.args.strip())
            named = None if number is None else await self._store.session_by_number(number)
            threads |= set() if named is None else {named.thread}
        if not threads:
            return None
        until = self._clock.now() + HOLD_SECONDS
        return ThreadHold(
            threads=frozenset(threads), position=self.position_of(command), expires_at=until
        )

    def _enqueue(self, key: str, hold: ThreadHold) -> bool:
        """Give an order its place; False where it has it already."""
        now = self._clock.monotonic()
        for gone in [each for each, placed in self._queued.items() if placed.deadline <= now]:
            self._remove(gone)
        if key in self._queued:
            return False
        self._queued[key] = self._new_entry(hold)
        return True

    def _remove(self, key: str) -> None:
        if self._queued.pop(key, None) is not None:
            self._changed.set()
            self._changed = asyncio.Event()
            self._wake()

    def _new_entry(self, hold: ThreadHold) -> _QueuedCommand:
        return _QueuedCommand(
            hold=hold,
            sequence=next(self._sequence),
            received_at=self._clock.now(),
            deadline=self._clock.monotonic() + HOLD_SECONDS,
        )

    async def _wait_for_predecessors(self, entry: _QueuedCommand) -> None:
        while left := self._remaining_wait(entry):
            await first_completed(self._changed.wait(), self._clock.sleep(left))

    def _remaining_wait(self, entry: _QueuedCommand) -> float:
        """For how many seconds at most an order has to wait; 0 for one whose turn has come."""
        now = self._clock.monotonic()
        before = (each.deadline for each in self._queued.values() if _is_ahead(each, entry))
        return max([until - now for until in before if until > now], default=0.0)


def _timing_of(command: Command) -> CommandTiming:
    verb = COMMANDS.get(command.name)
    return CommandTiming.IMMEDIATE if verb is None else verb.timing_for(command.args)


def _is_ahead(other: _QueuedCommand, entry: _QueuedCommand) -> bool:
    """Whether an order that has its place waits for another one: for one that is under way, and for
    one that was given before it."""
    if other is entry or not other.hold.threads & entry.hold.threads:
        return False
    earlier = (other.hold.position, other.sequence) < (entry.hold.position, entry.sequence)
    return other.started or earlier
