"""In any order of events, each accepted message ends exactly once.

Its thread has one running turn at a time, and waiting turns run in the order of their messages.
Messages, duplicates, deletions, failing handlers, restarts and kills are combined at random. A kill
is the state of the disk at that moment: the files are copied, and the old bot goes on with the old
files.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import AsyncExitStack, closing
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.domain.messages import Message
from bot.domain.turns import AcceptStatus, Turn, TurnResult, TurnState
from bot.ports import Store
from bot.store import open_store
from bot.turns.inbox import Inbox
from tests.contracts.messages import make_message
from tests.fakes import ManualClock
from tests.unit.turns.inbox_fixtures import FakeSlack

ROOTS = (100, 200, 300)

# The database itself records each end, with any cause.
COUNT_ENDS = (
    "CREATE TABLE ends (turn INTEGER)",
    """
    CREATE TRIGGER count_ends AFTER UPDATE OF state ON turns
    WHEN new.state NOT IN ('waiting', 'running')
    BEGIN INSERT INTO ends VALUES (new.id); END
    """,
)


class ObservedHandler:
    """A handler that ends turns as a test says, and checks the turns that it gets."""

    def __init__(self, store: Store, accepted: dict[str, Message]) -> None:
        self._store = store
        self._accepted = accepted
        self.faults: list[str] = []
        self.held: dict[str, asyncio.Future[str]] = {}
        self.hurry = False

    async def process(self, turn: Turn) -> bool:
        if not await self._store.mark_prompted(turn):
            return False
        # Before the next await: messages accepted after this may come after this turn.
        mine = turn.message
        earlier = [
            other
            for other in self._accepted.values()
            if other.thread == mine.thread and float(other.ts) < float(mine.ts)
        ]
        for other in earlier:
            found = await self._store.turn_by_ts(other.thread.team, other.thread.channel, other.ts)
            if found is None or not found.state.final:
                self.faults.append(f"{mine.ts} runs before {other.ts}")
        return await self._end(turn, TurnState.DONE)

    async def finish_interrupted(self, turn: Turn) -> bool:
        return await self._end(turn, turn.result.state if turn.result else TurnState.LOST)

    async def _end(self, turn: Turn, state: TurnState) -> bool:
        thread = str(turn.message.thread)
        if thread in self.held:
            self.faults.append(f"{turn.message.ts} runs beside another of its thread")
        how = "end"
        if not self.hurry:
            self.held[thread] = asyncio.get_running_loop().create_future()
            try:
                how = await self.held[thread]
            finally:
                del self.held[thread]
        if how == "record, then fail":
            await self._store.record_result(
                turn, TurnResult(state=state, answer="Python is a language.")
            )
        if how == "leave open":
            return False
        if how != "end":
            raise RuntimeError(how)
        return await self._store.finish_turn(turn, state)


class InboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.left_behind: list[AsyncExitStack] = []
        self.accepted: dict[str, Message] = {}
        self.refused: dict[str, Message] = {}

    @initialize()
    def begins(self) -> None:
        self.data = self.folder / "0"
        self.loop.run(self._start())
        with closing(sqlite3.connect(self.data / "threadpilot.db")) as database:
            for statement in COUNT_ENDS:
                database.execute(statement)
            database.commit()

    async def _start(self) -> None:
        self.running = AsyncExitStack()
        clock = ManualClock()
        self.store = await self.running.enter_async_context(
            open_store(self.data, clock=clock, max_running_per_user=2, max_waiting_per_thread=4)
        )
        self.handler = ObservedHandler(self.store, self.accepted)
        self.inbox = Inbox(
            self.store, clock, FakeSlack(), self.handler, max_turns=2, drain_seconds=0
        )
        await self.running.enter_async_context(self.inbox.dispatch_turns())

    @rule(
        root=st.sampled_from(ROOTS),
        second=st.integers(0, 6),
        user=st.sampled_from(["U0ALICE", "U0BOB", "U0CAROL"]),
        delivery=st.sampled_from(["a", "b"]),
    )
    def user_writes(self, root: int, second: int, user: str, delivery: str) -> None:
        event_id = f"Ev{root + second}{delivery}"
        self.loop.run(
            self._write(make_message(root + second, root=root, user=user, event_id=event_id))
        )

    async def _write(self, message: Message) -> None:
        acceptance = (await self.inbox.enqueue(message)).status
        if message.ts in self.accepted or message.ts in self.refused:
            assert acceptance is AcceptStatus.DUPLICATE
        elif acceptance is AcceptStatus.SCHEDULED:
            self.accepted[message.ts] = message
        else:
            assert acceptance is AcceptStatus.QUEUE_FULL
            self.refused[message.ts] = message
        await self._let_others_go()

    @rule(root=st.sampled_from(ROOTS), second=st.integers(0, 6))
    def user_deletes(self, root: int, second: int) -> None:
        message = make_message(root + second, root=root)
        key = message.thread
        self.loop.run(self.inbox.handle_deletion(key.team, key.channel, message.ts))

    @rule(
        root=st.sampled_from(ROOTS),
        how=st.sampled_from(["end", "end", "fail", "record, then fail", "leave open"]),
    )
    def a_handler_gets_through(self, root: int, how: str) -> None:
        self.loop.run(self._get_through(str(make_message(root).thread), how))

    async def _get_through(self, thread: str, how: str) -> None:
        held = self.handler.held.get(thread)
        if held is not None and not held.done():
            held.set_result(how)
        await self._let_others_go()

    async def _let_others_go(self) -> None:
        """Wait for the write queue a few times."""
        for message in list(self.accepted.values())[:1] * 4:
            await self.store.accept_message(message)

    @rule()
    def it_is_restarted(self) -> None:
        self.loop.run(self.running.aclose())
        self._see_no_faults()
        self.loop.run(self._start())

    @rule()
    def it_is_killed(self) -> None:
        now = self.folder / str(len(self.left_behind) + 1)
        now.mkdir()
        for name in ("threadpilot.db", "threadpilot.db-wal"):
            shutil.copy(self.data / name, now / name)
        self.left_behind.append(self.running)
        self._see_no_faults()
        self.data = now
        self.loop.run(self._start())

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if hasattr(self, "handler"):
            self._see_no_faults()

    def _see_no_faults(self) -> None:
        assert self.handler.faults == []

    def teardown(self) -> None:
        try:
            if hasattr(self, "handler"):
                self.loop.run(self._all_end())
                self._see_no_faults()
                self._see_each_ended_once()
        finally:
            self.loop.run(self._close())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def _all_end(self) -> None:
        self.handler.hurry = True
        for held in self.handler.held.values():
            if not held.done():
                held.set_result("end")
        async with asyncio.timeout(20):
            for message in self.accepted.values():
                while not await self._has_ended(message):  # noqa: ASYNC110 # no event says so
                    await asyncio.sleep(0.001)

    async def _has_ended(self, message: Message) -> bool:
        found = await self.store.turn_by_ts(message.thread.team, message.thread.channel, message.ts)
        assert found is not None, f"{message.ts} was accepted and is gone"
        return found.state.final

    def _see_each_ended_once(self) -> None:
        with closing(sqlite3.connect(self.data / "threadpilot.db")) as database:
            ends = database.execute(
                "SELECT ts, count(*) FROM ends JOIN turns ON id = turn GROUP BY ts"
            ).fetchall()
            assert database.execute("SELECT waiting FROM queue").fetchall() == [(0,)]
        assert dict(ends) == dict.fromkeys(self.accepted, 1)

    async def _close(self) -> None:
        for running in [*self.left_behind, *([self.running] if hasattr(self, "running") else [])]:
            await running.aclose()


TestInboxMachine = InboxMachine.TestCase
TestInboxMachine.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,  # the disk of a busy machine takes its time
    suppress_health_check=[HealthCheck.too_slow],
)
