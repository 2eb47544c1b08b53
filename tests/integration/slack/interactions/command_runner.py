"""The desk as these tests know it: it takes every order once, and does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bot.commands.dispatcher import CommandDispatcher
from bot.commands.parser import KnownNames
from bot.domain.cards import Card, CommandResult, text_result
from bot.domain.commands import Command
from bot.errors import StoreError

DONE = "Done."


class Recorder(CommandDispatcher):
    """Keeps the orders that it is given; `outcomes` says by verb what comes of them."""

    def __init__(self) -> None:
        self.taken: list[Command] = []
        self.carried: list[Command] = []
        self.finished: list[Command] = []
        self.outcomes: dict[str, CommandResult] = {}
        self.failing = 0
        """So many orders cannot be recorded."""
        self.book = asyncio.Event()
        """Closed while nothing gets on record."""
        self.book.set()
        self.gate = asyncio.Event()
        """Closed while nothing is carried out."""
        self.gate.set()
        self.cards: list[Card] = [Card(title="Hello", text="This is your page.")]
        """What everybody's Home tab shows."""
        self.visitors: list[str] = []
        self.homeless: Exception | None = None
        """Why there is nothing to show there."""
        self._changed = asyncio.Condition()

    async def record(self, command: Command) -> bool:
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk is full")
        await self.book.wait()
        if any(known.key == command.key for known in self.taken):
            return False
        self.taken.append(command)
        await self._notify()
        return True

    async def execute(self, command: Command) -> CommandResult:
        await self.gate.wait()
        self.carried.append(command)
        await self._notify()
        return self.outcomes.get(command.name, text_result(DONE))

    async def mark_done(self, command: Command) -> None:
        self.finished.append(command)
        await self._notify()

    async def home(self, user: str) -> Sequence[Card]:
        self.visitors.append(user)
        if self.homeless is not None:
            raise self.homeless
        return self.cards

    def known(self) -> KnownNames:
        return KnownNames(models=frozenset({"gpt-5"}), roles=frozenset({"review"}))

    async def wait_until(self, holds: Callable[[Recorder], bool], seconds: float = 10.0) -> None:
        """Wait until it holds; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
