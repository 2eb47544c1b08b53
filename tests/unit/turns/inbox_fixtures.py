"""An inbox on a real database, with a fake Slack that records and a handler that tests control.

The handler and Slack are the two ends of the inbox: tests cover all that is between them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

from bot.domain.messages import Message, ThreadKey
from bot.domain.turns import ReplyPart, Turn, TurnResult, TurnState
from bot.errors import AgentError, AgentErrorKind, SlackError
from bot.ports import Reply, Store
from bot.store import open_store
from bot.turns.inbox import Inbox
from bot.turns.queue_notices import INDICATOR_DELAY_SECONDS
from tests.fakes import ManualClock

ACCEPT, CLAIM, END = "INSERT", "UPDATE OF epoch", "UPDATE OF ended"


class FakeSlack:
    """Records indicators and notices as (text, ts)."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.idle: list[str] = []  # roots of threads whose status was cleared
        self.failing_notices = 0  # number of next notices that fail
        self.troubled: list[SlackError] = []  # errors of the next removals
        self.late = 0  # number of removals after these that do nothing yet
        self.marking = 0
        self.marks_may_go = asyncio.Event()
        self.marks_may_go.set()

    async def add_waiting_reaction(self, message: Message) -> bool:
        self.marking += 1
        await self.marks_may_go.wait()
        self.shown.append(("mark", message.ts))
        return True

    async def remove_waiting_reaction(self, message: Message) -> bool:
        if cleared := self._can_clear():
            self.shown.append(("unmark", message.ts))
        return cleared

    async def clear_status(self, thread: ThreadKey) -> bool:
        if cleared := self._can_clear():
            self.idle.append(thread.root_ts)
        return cleared

    def _can_clear(self) -> bool:
        if self.troubled:
            raise self.troubled.pop(0)
        if self.late:
            self.late -= 1
            return False
        return True

    async def post_notice(self, message: Message, text: str) -> bool:
        if self.failing_notices:
            self.failing_notices -= 1
            return False
        self.shown.append((text, message.ts))
        return True

    def open_reply(
        self,
        turn: Turn,  # noqa: ARG002 # the port's
        participants: frozenset[str],  # noqa: ARG002 # the port's
        previous_parts: Sequence[ReplyPart] = (),  # noqa: ARG002 # the port's
    ) -> AbstractAsyncContextManager[Reply]:
        raise AssertionError("the handler opens replies")

    async def fetch_participants(self, thread: ThreadKey) -> frozenset[str]:  # noqa: ARG002 # the port's
        raise AssertionError("the handler fetches participants")


class FakeTurnHandler:
    """Does with a turn what its message says; "hold" waits for `released`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.processed: list[Turn] = []
        self.recovered: list[Turn] = []
        self.released = asyncio.Event()
        self.recorded = asyncio.Event()
        self.slack_is_back = False
        self.running = 0
        self.most_running = 0

    async def process(self, turn: Turn) -> bool:
        self.processed.append(turn)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._do(turn, turn.message.text)
        finally:
            self.running -= 1

    async def _do(self, turn: Turn, text: str) -> bool:
        if "hold" in text:
            await self.released.wait()
        if "cling" in text:
            await self._ignore_cancellation()
        if "give way" in text and not await self._store.mark_prompted(turn):
            await self._store.requeue(turn)
            return False
        if "record" in text:
            await self._store.record_result(
                turn, TurnResult(state=TurnState.DONE, answer="Python is a language.")
            )
            self.recorded.set()
        if "hang" in text:
            await asyncio.Event().wait()
        if "fail" in text:
            raise RuntimeError("the handler failed")
        if "no Slack" in text:
            raise SlackError("unreachable")
        if "no model" in text:
            raise AgentError(AgentErrorKind.RATE_LIMIT, "429")
        return "leave open" not in text and await self._store.finish_turn(turn, TurnState.DONE)

    async def _ignore_cancellation(self) -> None:
        """Wait like "hold" and, after a cancellation, for a Slack that does not answer."""
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def finish_interrupted(self, turn: Turn) -> bool:
        self.recovered.append(turn)
        if "never recover" in turn.message.text:
            await asyncio.Event().wait()
        if "no Slack either" in turn.message.text and not self.slack_is_back:
            raise SlackError("unreachable")
        if "cannot recover" in turn.message.text:
            raise RuntimeError("the handler failed again")
        return await self._store.finish_turn(
            turn, turn.result.state if turn.result else TurnState.LOST
        )


class InboxFixture:
    """An inbox with its store, clock, Slack and handler."""

    def __init__(
        self, store: Store, clock: ManualClock, folder: Path, max_turns: int, drain_seconds: float
    ) -> None:
        self.store = store
        self.clock = clock
        self.slack = FakeSlack()
        self.handler = FakeTurnHandler(store)
        self.inbox = Inbox(
            store,
            clock,
            self.slack,
            self.handler,
            max_turns=max_turns,
            drain_seconds=drain_seconds,
        )
        self._file = folder / "threadpilot.db"

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition while the clock advances by indicator delays."""
        async with asyncio.timeout(20):
            while not holds():
                await self.clock.advance(INDICATOR_DELAY_SECONDS)
                await asyncio.sleep(0.002)

    async def state(self, message: Message) -> TurnState | None:
        turn = await self.store.turn_by_ts(message.thread.team, message.thread.channel, message.ts)
        return None if turn is None else turn.state

    async def ended(self, message: Message) -> TurnState:
        """The final state of the turn of a message."""
        async with asyncio.timeout(20):
            while True:
                state = await self.state(message)
                if state is not None and state.final:
                    return state
                await asyncio.sleep(0.002)

    def break_database(self, operation: str) -> None:
        """Make the database refuse an operation: ACCEPT, CLAIM or END."""
        self._execute(
            f"CREATE TRIGGER fault BEFORE {operation} ON turns BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    def repair_database(self) -> None:
        self._execute("DROP TRIGGER fault")

    def _execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as database:
            database.execute(statement)


@asynccontextmanager
async def inbox_fixture(
    folder: Path, *, max_turns: int = 4, thread_queue: int = 9, drain_seconds: float = 20.0
) -> AsyncIterator[InboxFixture]:
    """An inbox on the database in a folder; entered again, it has the same database."""
    clock = ManualClock()
    async with open_store(
        folder, clock=clock, max_running_per_user=2, max_waiting_per_thread=thread_queue
    ) as store:
        yield InboxFixture(store, clock, folder, max_turns, drain_seconds)


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, with a bound."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 # the condition has no event
            await asyncio.sleep(0.002)
