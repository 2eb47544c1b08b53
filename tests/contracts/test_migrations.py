"""Checks that a database of an older version is migrated without loss."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter, SessionOrigin, SessionTotals
from bot.domain.turns import AcceptStatus, TurnState
from bot.ports import Checkpoint, Store
from bot.store import open_store
from bot.store.sqlite.audit import append_entry, verify_chain
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.migrations.v1_turns import V1
from bot.store.sqlite.migrations.v2_sessions import V2
from bot.store.sqlite.migrations.v3_audit_chain import V3
from bot.store.sqlite.migrations.v4_daily_counts import V4
from bot.store.sqlite.schema import MIGRATIONS, Migration, migrate
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import answered, claimed, current
from tests.fakes import ManualClock

_EVENT = "INSERT INTO events VALUES (?, 'T0SANDBOX', 'C0GENERAL', ?, ?, ?, 5.0)"
_THREAD = "INSERT INTO threads VALUES (?, 'T0SANDBOX', 'C0GENERAL', ?, ?, 1, ?)"
_TURN = """
    INSERT INTO turns (thread, event_id, ts, position, user, user_team, text, trigger, external,
                       direct, state, outcome, answer, note, accepted, prompted, ended)
    VALUES (?, ?, ?, ?, ?, 'T0SANDBOX', ?, 'mention', 0, 0, ?, ?, ?, ?, ?, ?, ?)
"""
_SESSION = """
    INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, size, created,
                          used)
    VALUES (?, 1, 'C0GENERAL', '', 0, 'U0ALICE', '', 'thread', ?, 1.0, ?)
"""
# thread (and the second at which it began), second, author, text, state
_TURNS = [
    (1, 1, "U0ALICE", "What is\nPython?", TurnState.DONE),
    (1, 3, "U0BOB", "And Rust?", TurnState.STOPPED),
    (1, 4, "U0BOB", "And Go?", TurnState.FAILED),
    (1, 5, "U0BOB", "And Zig?", TurnState.WAITING),
    (20, 20, "U0EVE", "Let me in!", TurnState.REFUSED),
    (30, 32, "U0CARL", "Later", TurnState.RUNNING),
    (30, 31, "U0ALICE", "Earlier", TurnState.DONE),
]


def key(began: int) -> ThreadKey:
    return ThreadKey(team="T0SANDBOX", channel="C0GENERAL", root_ts=ts_at(began))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as version 0.1.0 left it."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1,))
        for began, generation in ((1, 0), (20, 0), (30, 2)):
            database.execute(_THREAD, (began, ts_at(began), generation, began))
        for began, second, user, text, state in _TURNS:
            ts, event_id = ts_at(second), f"Ev-{second}"
            database.execute(_EVENT, (event_id, ts, ts_at(began), user))
            database.execute("INSERT INTO thread_people VALUES (?, ?) ON CONFLICT DO NOTHING",
                             (began, user))  # fmt: skip
            ended = (state, "An answer.", "") if state.final else (None, None, None)
            times = (float(second), float(second), second + 0.5 if state.final else None)
            place = (began, event_id, ts, second * 1_000_000, user, text, state)
            database.execute(_TURN, (*place, *ended, *times))
        assert database.execute("PRAGMA user_version").fetchall() == [(1,)]
    return tmp_path


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[Store]:
    async with open_store(folder, clock=ManualClock(), max_running_per_user=2) as store:
        yield store


async def test_each_thread_has_its_one_session(store: Store) -> None:
    session = await current(store, key(1))
    assert (session.number, session.id) == (1, key(1).session_id())
    assert (session.owner, session.title) == ("U0ALICE", "What is Python?")
    assert (session.origin, session.role) == (SessionOrigin.THREAD, "")
    assert (session.turn_count, session.seen_ts) == (2, ts_at(3))
    assert (session.created_at, session.last_used_at) == (1.0, 5.0)
    refused = await current(store, key(20))
    assert (refused.has_turns, refused.seen_ts, refused.owner) == (False, "", "U0EVE")
    reset = await current(store, key(30))
    assert (reset.id, reset.owner, reset.turn_count) == (key(30).session_id(2), "U0CARL", 1)


async def test_what_was_said_is_looked_for_from_the_last_message_on(store: Store) -> None:
    """After the upgrade, the period without missed events ends at the last recorded message."""
    assert await store.load_checkpoint() == Checkpoint(since=5.0, until=5.0)


async def test_the_threads_go_on_where_they_were(store: Store) -> None:
    (running,) = await store.recover()
    assert running.message.text == "Later"
    assert (await store.ensure_session(running)).id == key(30).session_id(2)
    await store.finish_turn(running, TurnState.LOST)
    waiting = await claimed(store)
    assert waiting.message.text == "And Zig?"
    assert (await store.ensure_session(waiting)).id == key(1).session_id()
    again = make_message(3, root=1, event_id="Ev-3")
    assert (await store.accept_message(again)).status is AcceptStatus.DUPLICATE
    await store.append_history(waiting, 1, "event")
    assert (await current(store, key(1))).turn_count == 3


async def test_a_fresh_session_gets_an_id_that_was_never_used(store: Store) -> None:
    fresh = [await store.reset(key(began), "", "U0ALICE") for began in (1, 30)]
    assert [session.id for session in fresh] == [key(1).session_id(1), key(30).session_id(3)]


async def test_a_copy_of_what_is_not_recorded_turn_by_turn_may_be_asked(store: Store) -> None:
    await store.finish_turn((await store.recover())[0], TurnState.DONE)
    await store.withdraw((await store.waiting_turns(key(1)))[0])
    turn = await answered(store, make_message(6, root=1))
    source = await current(store, key(1))
    whole, part = [
        await store.add_session(
            source,
            session_id=f"copy-{before}",
            origin=SessionOrigin.FORK,
            thread=key(1),
            owner="U0BOB",
            before_turn=before,
        )
        for before in (0, turn.id)
    ]
    assert (source.turn_count, whole.turn_count, part.turn_count) == (3, 3, 2)
    assert (whole.seen_ts, part.seen_ts) == (ts_at(6), ts_at(3))


async def test_its_words_go_with_it(store: Store) -> None:
    assert await store.delete_sessions([1]) == 1
    texts = {}
    for _, second, *_ in _TURNS[:5]:
        turn = await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(second))
        assert turn is not None
        texts[second] = (turn.message.text, turn.result and turn.result.answer)
    assert texts == {
        1: ("", ""),
        3: ("", ""),
        4: ("", ""),
        5: ("And Zig?", None),
        20: ("Let me in!", "An answer."),
    }


def test_the_audit_of_version_2_is_chained_as_it_stands(tmp_path: Path) -> None:
    """Entries from before the chain can no longer be changed without a trace either."""
    entries = [(float(n), f"U{n}", "admin pause", "", "größer") for n in range(1, 4)]
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1, V2))
        database.executemany(
            "INSERT INTO audit (at, by, act, target, detail) VALUES (?, ?, ?, ?, ?)", entries
        )
        migrate(database)
        kept = database.execute("SELECT at, by, act, target, detail FROM audit ORDER BY id")
        assert kept.fetchall() == entries
        chain = verify_chain(database)
        assert (chain.valid_count, chain.first_break) == (3, None)
        for tampering in ("UPDATE audit SET hash = ''", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="audit"):
                database.execute(tampering)
        append_entry(database, 4.0, "U4", "admin resume", "", "")
        assert (verify_chain(database).valid_count, verify_chain(database).first_break) == (4, None)


async def test_who_was_refused_before_the_upgrade_is_not_notified_again(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1, V2))
        database.execute(_EVENT, ("Ev-1", ts_at(1), ts_at(1), "U0ALICE"))
        database.execute(_THREAD, (1, ts_at(1), 0, 1))
        who = ("U0ALICE", "What is Python?", TurnState.REFUSED)
        unnoted = (None, None, None, 1.0, None, 1.0)
        database.execute(_TURN, (1, "Ev-1", ts_at(1), 1_000_000, *who, *unnoted))
    async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2) as store:
        assert await store.unnotified(0.0) == ()


async def test_the_sessions_of_version_3_are_counted_by_day(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1, V2, V3))
        database.execute(_THREAD, (1, ts_at(1), 5, 1))
        for number, used in enumerate((5.0, 86_399.5, 86_400.0, 300_000.0)):
            database.execute(_SESSION, (f"id-{number}", number, used))
    async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2) as store:
        everything = await store.session_totals(SessionFilter())
        assert everything == SessionTotals(count=4, size=6, oldest=5.0, newest=300_000.0)
        first_day = await store.session_totals(SessionFilter(unused_since=86_400.0))
        assert first_day == SessionTotals(count=2, size=1, oldest=5.0, newest=86_399.5)


async def test_the_latest_marks_of_version_4_are_taken_back_if_they_were_left(
    tmp_path: Path,
) -> None:
    """Some are left for good. Whether Slack still shows the others is unknown."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1, V2, V3, V4))
        database.execute(_THREAD, (1, ts_at(1), 0, 1))
        for second in range(1, 121):
            state = TurnState.DONE if second > 1 else TurnState.WAITING
            who = ("U0ALICE", "What is Python?", state, None, None, None, 1.0, None, None)
            place = (1, f"Ev-{second}", ts_at(second), second * 1_000_000)
            database.execute(_TURN, (*place, *who))
        database.execute("UPDATE turns SET waited = 1")
    async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2) as store:
        left = await store.stale_waiting_indicators(0)
        assert [turn.message.ts for turn in left] == [ts_at(second) for second in range(21, 121)]
        assert (await claimed(store)).may_be_marked_waiting
        assert await store.stale_status_indicators(0) == ()


def test_a_migration_happens_whole_or_not(tmp_path: Path) -> None:
    number = MIGRATIONS[-1].number + 1
    notes = "CREATE TABLE notes (note)"
    broken = Migration(number=number, purpose="for this test", statements=(notes, "NO SQL"))
    sound = Migration(number=number, purpose="for this test", statements=(notes,))
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as database:
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, (*MIGRATIONS, broken))
        assert database.execute("PRAGMA user_version").fetchall() == [(number - 1,)]
        migrate(database, (*MIGRATIONS, sound))
        migrate(database, (*MIGRATIONS, sound))
        assert database.execute("PRAGMA user_version").fetchall() == [(number,)]
        assert database.execute("SELECT * FROM notes").fetchall() == []


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert all(step.purpose for step in MIGRATIONS)
