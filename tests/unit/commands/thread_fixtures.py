"""The commands of threads, with a fake turn processor and inbox."""

from __future__ import annotations

from bot.commands.thread import ThreadCommands
from bot.domain.messages import ThreadKey
from bot.sessions.pool import SessionPool
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor
from tests.unit.commands.command_fixtures import CommandFixture


class Running:
    """The running answer and the waiting messages of one thread."""

    def __init__(self) -> None:
        self.answering = False
        self.waiting = 0
        self.calls: list[str] = []


class FakeTurnProcessor(TurnProcessor):
    """Stops the answer of `Running`."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def stop_answer(self, thread: ThreadKey, requested_by: str) -> bool:
        self._running.calls.append(f"stop {thread.root_ts} by {requested_by}")
        was_answering, self._running.answering = self._running.answering, False
        return was_answering


class FakeInbox(Inbox):
    """Drops the messages of `Running`."""

    def __init__(self, running: Running) -> None:
        self._running_thread = running

    async def drop_waiting(self, thread: ThreadKey, requested_by: str = "") -> int:  # noqa: ARG002 # the inbox's
        self._running_thread.calls.append(f"clear {thread.root_ts}")
        dropped, self._running_thread.waiting = self._running_thread.waiting, 0
        return dropped


def thread_commands(
    world: CommandFixture, pool: SessionPool, running: Running | None = None
) -> ThreadCommands:
    """The commands of threads for one fixture."""
    thread = running or Running()
    return ThreadCommands(
        *(world.store, world.publisher, FakeTurnProcessor(thread), FakeInbox(thread)),
        *(pool, world.choosing, world.clock),
    )
