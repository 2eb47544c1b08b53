"""A fake dispatcher that records each command once and returns the results a test sets."""

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
    """Records commands; `results` maps command names to results."""

    def __init__(self) -> None:
        self.recorded: list[Command] = []
        self.executed: list[Command] = []
        self.done: list[Command] = []
        self.results: dict[str, CommandResult] = {}
        self.failing = 0
        """Number of next commands that cannot be recorded."""
        self.can_record = asyncio.Event()
        """Cleared while no command can be recorded."""
        self.can_record.set()
        self.can_execute = asyncio.Event()
        """Cleared while no command runs."""
        self.can_execute.set()
        self.cards: list[Card] = [Card(title="Hello", text="This is your page.")]
        """The cards of all Home tabs."""
        self.home_users: list[str] = []
        self.home_error: Exception | None = None
        """The error of the Home tab, or None."""
        self._changed = asyncio.Condition()

    async def record(self, command: Command) -> bool:
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk is full")
        await self.can_record.wait()
        if any(known.key == command.key for known in self.recorded):
            return False
        self.recorded.append(command)
        await self._notify()
        return True

    async def execute(self, command: Command) -> CommandResult:
        await self.can_execute.wait()
        self.executed.append(command)
        await self._notify()
        return self.results.get(command.name, text_result(DONE))

    async def mark_done(self, command: Command) -> None:
        self.done.append(command)
        await self._notify()

    async def home(self, user: str) -> Sequence[Card]:
        self.home_users.append(user)
        if self.home_error is not None:
            raise self.home_error
        return self.cards

    def known(self) -> KnownNames:
        return KnownNames(models=frozenset({"gpt-5"}), roles=frozenset({"review"}))

    async def wait_until(self, holds: Callable[[Recorder], bool], seconds: float = 10.0) -> None:
        """Wait until `holds` returns True; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
