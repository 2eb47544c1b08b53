"""Checks that the record stays true after any sequence of session operations."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.comparisons import Candidate
from bot.domain.messages import MessageOptions, ThreadKey
from bot.domain.sessions import SessionFilter, SessionOrigin, SessionRecord
from bot.domain.turns import TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.ports import Store
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.contracts.messages import make_message
from tests.fakes import ManualClock

Step = tuple[str, int, int]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ask", "role", "leave", "compare", "anew", "take up", "fork", "forget", "drop"]
        ),
        st.integers(0, 2),
        st.integers(0, 9),
    ),
    min_size=5,
    max_size=25,
)


class _World:
    """Three threads, and what is done in them; `which` picks a session or a turn."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._second = 100
        self._prompted: list[int] = []

    async def do(self, step: Step) -> None:
        what, place, which = step
        key = make_message(place).thread
        if what in ("ask", "role", "leave"):
            await self._ask(place, role="review" if what == "role" else "", end=what != "leave")
        elif what == "compare":
            await self._compare(place, which)
        elif await self._store.thread_by_key(key) is not None:
            await self._manage(what, key, which)

    async def _ask(self, place: int, *, role: str, end: bool) -> None:
        self._second += 1
        message = replace(make_message(self._second, root=place), options=MessageOptions(role=role))
        await self._store.accept_message(message)
        while (turn := (await self._store.claim()).turn) is not None:
            session = await self._store.ensure_session(turn)
            await self._store.mark_prompted(turn)
            await self._store.append_history(turn, session.number, f"event-{turn.id}")
            self._prompted.append(turn.id)
            if not end:
                return
            spent = TokenUsage(model="gpt", input_tokens=1)
            await self._store.record_result(turn, TurnResult(state=TurnState.DONE, usage=spent))
            await self._store.finish_turn(turn, TurnState.DONE)

    async def _compare(self, place: int, which: int) -> None:
        """Put a question to two copies; with some, it is recorded twice."""
        self._second += 1
        wish = MessageOptions(compare_models=("gpt", "claude"))
        await self._store.accept_message(
            replace(make_message(self._second, root=place), options=wish)
        )
        turn = (await self._store.claim()).turn
        if turn is None:
            return
        source = await self._store.ensure_session(turn)
        await self._store.mark_prompted(turn)
        if not turn.message.options.compare_models:
            await self._store.requeue(turn)
            return
        candidates = []
        for label in "AB":
            copy = await self._store.add_session(
                source,
                session_id=f"copy-{label}-{turn.id}",
                origin=SessionOrigin.COMPARISON,
                thread=turn.message.thread,
                owner="U0ALICE",
            )
            await self._store.append_history(turn, copy.number, f"event-{label}-{turn.id}")
            spent = TokenUsage(model="gpt", input_tokens=2)
            candidates.append(
                Candidate(label=label, session=copy.number, usage=spent, answer=f"Answer {label}.")
            )
        self._prompted.append(turn.id)
        for _ in range(1 + which % 2):
            await self._store.save_comparison(turn, source.number, candidates)
        spent = TokenUsage(input_tokens=4)
        await self._store.record_result(turn, TurnResult(state=TurnState.DONE, usage=spent))
        await self._store.finish_turn(turn, TurnState.DONE)

    async def _manage(self, what: str, key: ThreadKey, which: int) -> None:
        sessions = (await self._store.list_sessions(SessionFilter(), 0, 100)).sessions
        if what == "anew":
            await self._store.reset(key, "", "U0ALICE")
        if not sessions:
            return
        session = sessions[which % len(sessions)]
        if what == "take up":
            await self._store.attach(session.number, key)
        elif what == "fork":
            await self._fork(session, key, which)
        elif what == "forget" and self._prompted:
            await self._store.truncate_history(
                session.number, self._prompted[-1 - which % len(self._prompted)]
            )
        elif what == "drop":
            await self._store.delete_sessions([session.number])

    async def _fork(self, source: SessionRecord, key: ThreadKey, which: int) -> None:
        self._second += 1
        copy = await self._store.add_session(
            source,
            session_id=f"copy-{self._second}",
            origin=SessionOrigin.FORK,
            thread=key,
            owner="U0BOB",
            before_turn=self._prompted[-1] if self._prompted and which % 2 else 0,
        )
        if which % 3 == 0:
            await self._store.attach(copy.number, key)


# What must never be found, each with what it would mean.
NEVER = {
    "a session that miscounts what it remembers": """
        SELECT number FROM sessions s
        WHERE turns <> (SELECT count(*) FROM remembered r WHERE r.session = s.number)
    """,
    "two current sessions of one thread and role": """
        SELECT thread FROM sessions WHERE current = 1 GROUP BY thread, role HAVING count(*) > 1
    """,
    "a session listed in a channel that is not its thread's": """
        SELECT number FROM sessions s JOIN threads h ON h.id = s.thread
        WHERE h.channel <> s.channel
    """,
    "words that a living session remembers and that are gone": """
        SELECT n.id FROM turns n JOIN remembered r ON r.turn = n.id WHERE n.text = ''
    """,
    "words that are left though no session had to do with them": """
        SELECT id FROM turns n
        WHERE text <> '' AND state NOT IN ('waiting', 'running')
          AND NOT EXISTS (SELECT 1 FROM remembered r WHERE r.turn = n.id)
          AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = n.session)
    """,
    "cost that is lost or counted twice": """
        SELECT s.number FROM sessions s
        WHERE s.input_tokens <> (SELECT count(*) FROM turns n
                                 WHERE n.session = s.number AND n.state = 'done'
                                   AND NOT EXISTS (SELECT 1 FROM candidates k WHERE k.turn = n.id))
                                + (SELECT coalesce(sum(k.input_tokens), 0) FROM candidates k
                                   WHERE k.session = s.number)
    """,
    "an answer of a comparison that a living session remembers and that is gone": """
        SELECT k.turn FROM candidates k JOIN remembered r ON r.turn = k.turn AND r.label = k.label
        WHERE k.answer = ''
    """,
    "an answer of a comparison that is left though its session and all copies have gone": """
        SELECT k.turn FROM candidates k
        WHERE k.answer <> '' AND k.session = 0
          AND NOT EXISTS (SELECT 1 FROM remembered r WHERE r.turn = k.turn AND r.label = k.label)
    """,
}


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_the_record_stays_true(steps: Sequence[Step]) -> None:
    async def run(folder: Path) -> None:
        async with open_store(folder, clock=ManualClock(), max_running_per_user=9) as store:
            world = _World(store)
            for step in steps:
                await world.do(step)

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))
        with closing(sqlite3.connect(Path(name) / DATABASE_NAME)) as database:
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            found = {what: database.execute(query).fetchall() for what, query in NEVER.items()}
    assert found == {what: [] for what in NEVER}
