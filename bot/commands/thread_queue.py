"""Orders the commands of a thread, so that they take effect in the order of its messages.

The order holds even if Slack or a look-up is slow.

    a command is recorded   → later questions are not claimed; later commands wait
    its turn has come       → it is executed, within a bounded time
    it is executed          → the waiting messages continue; its author gets the result

Questions wait in the database (`bot.domain.commands.ThreadHold`), commands wait here for each
other. `bot.commands.registry` says which commands have a place.
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
from bot.tasks import wait_for_event

log = logging.getLogger(__name__)

HOLD_SECONDS: Final = 300.0
"""Timeout in seconds after which questions no longer wait for a command. It includes the time that
the command itself waits."""
EXECUTION_SECONDS: Final = 60.0
"""Timeout of one execution in seconds. It ends before the hold, so that a command cannot take
effect after the questions that waited for it."""


@dataclass(slots=True, kw_only=True)
class _QueuedCommand:
    """A command that has a place."""

    hold: ThreadHold
    sequence: int
    """The order of arrival, for commands with the same position."""
    received_at: float
    """When it was received: seconds since the epoch by this machine's clock."""
    deadline: float
    """When its hold ends, on the monotonic clock."""
    started: bool = False


class ThreadQueue:
    """The recorded commands that are not executed yet, with the threads that wait for them."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` is called when questions no longer have to wait for a command."""
        self._store = store
        self._clock = clock
        self._wake = wake
        self._queued: dict[str, _QueuedCommand] = {}  # by key
        self._sequence = itertools.count()
        self._changed = asyncio.Event()

    async def put(self, command: Command) -> bool:
        """Record a command in its place; False if it is recorded already. Raises `StoreError`."""
        hold = await self._hold_for(command)
        if hold is None:
            return await self._store.accept_command(command)
        queued = self._enqueue(command.key, hold)
        fresh = False
        try:
            fresh = await self._store.accept_command(command, hold)
        finally:
            if queued and not fresh:
                self._remove(command.key)
        return fresh

    async def load_unfinished(self) -> Sequence[tuple[Command, bool]]:
        """The commands that a restart left without a delivered result.

        Each comes with True if it still has its place. Raises `StoreError`.
        """
        unfinished = await self._store.unfinished_commands()
        holds = await self._store.renew_holds(self._clock.now() + HOLD_SECONDS)
        for command in unfinished:
            if command.key in holds:
                self._enqueue(command.key, holds[command.key])
        return tuple((command, command.key in holds) for command in unfinished)

    async def release_hold(self, command: Command) -> None:
        """Let nothing wait for a command any more: it is executed, or will not be.

        Never raises. If the store fails, the messages wait until the command is done or its hold
        ends.
        """
        if command.key not in self._queued:
            return
        try:
            await self._store.release_hold(command.key)
        except StoreError as error:
            log.warning("hold not released: command=%s error=%s", command.name, error)
            return
        self._remove(command.key)

    async def mark_done(self, command: Command) -> None:
        """Record that the result of a command is delivered. Raises `StoreError`."""
        await self._store.finish_command(command.key)
        self._remove(command.key)

    def position_of(self, command: Command) -> int:
        """The position of a command in its thread: that of its message, else its arrival."""
        queued = self._queued.get(command.key)
        if queued is not None:
            return queued.hold.position
        if TS_PATTERN.fullmatch(command.ts):
            return ts_position(command.ts)
        return int(self._clock.now() * 1_000_000)

    def received_at(self, command: Command) -> float:
        """When a command that has a place was received; the present for others."""
        queued = self._queued.get(command.key)
        return self._clock.now() if queued is None else queued.received_at

    @asynccontextmanager
    async def in_order(self, command: Command) -> AsyncIterator[None]:
        """Wait until the turn of a command has come.

        Raises `TimeoutError` if a command that has a place takes too long inside, or if its turn
        came too late.
        """
        queued = self._queued.get(command.key)
        if queued is None:
            if command.thread is not None and _timing_of(command) is CommandTiming.AFTER_PENDING:
                threads = frozenset({command.thread})
                hold = ThreadHold(
                    threads=threads, position=self.position_of(command), expires_at=0.0
                )
                await self._wait_for_predecessors(self._new_entry(hold))
            yield
            return
        await self._wait_for_predecessors(queued)
        if queued.deadline <= self._clock.monotonic():
            raise TimeoutError  # nothing waits for it any more
        queued.started = True
        async with time_limit(self._clock, EXECUTION_SECONDS):
            yield

    async def _hold_for(self, command: Command) -> ThreadHold | None:
        """The hold of a command, or None if nothing waits for it. Raises `StoreError`."""
        if _timing_of(command) is not CommandTiming.IN_ORDER:
            return None
        threads = set() if command.thread is None else {command.thread}
        if COMMANDS[command.name].target is CommandTarget.SESSION:
            _, number = split_handle(command.args.strip())
            named = None if number is None else await self._store.session_by_number(number)
            threads |= set() if named is None else {named.thread}
        if not threads:
            return None
        expires_at = self._clock.now() + HOLD_SECONDS
        return ThreadHold(
            threads=frozenset(threads), position=self.position_of(command), expires_at=expires_at
        )

    def _enqueue(self, key: str, hold: ThreadHold) -> bool:
        """Give a command its place; False if it has one already."""
        now = self._clock.monotonic()
        for expired in [other for other, queued in self._queued.items() if queued.deadline <= now]:
            self._remove(expired)
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
        while seconds := self._remaining_wait(entry):
            await wait_for_event(self._changed, self._clock, seconds)

    def _remaining_wait(self, entry: _QueuedCommand) -> float:
        """How many seconds a command waits at most; 0 if its turn has come."""
        now = self._clock.monotonic()
        deadlines = (other.deadline for other in self._queued.values() if _is_ahead(other, entry))
        return max([deadline - now for deadline in deadlines if deadline > now], default=0.0)


def _timing_of(command: Command) -> CommandTiming:
    spec = COMMANDS.get(command.name)
    return CommandTiming.IMMEDIATE if spec is None else spec.timing_for(command.args)


def _is_ahead(other: _QueuedCommand, entry: _QueuedCommand) -> bool:
    """True if an entry has to wait for another one: it is running, or it was given earlier."""
    if other is entry or not other.hold.threads & entry.hold.threads:
        return False
    earlier = (other.hold.position, other.sequence) < (entry.hold.position, entry.sequence)
    return other.started or earlier
