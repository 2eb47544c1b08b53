"""Tests that the database of many threads is as the bot itself writes it, and is measured right."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench.ground import Ground
from bench.many_threads import SIZE, TEAM, ManyThreads, make_threads
from bench.rows.mapped import GOAL, rows
from bot.domain.sessions import OrphanReport, SessionFilter
from bot.domain.turns import AcceptStatus, TurnState
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.schema import migrate
from tests.contracts.messages import make_message
from tests.fakes import ManualClock

THREADS = 70
SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


@pytest.fixture
def made(tmp_path: Path) -> ManyThreads:
    return make_threads(tmp_path / "many", THREADS)


@pytest.fixture
def database(made: ManyThreads) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(made.folder / DATABASE_NAME)) as database:
        yield database


def test_it_has_the_schema_that_the_store_makes(database: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh)
        for question in (SCHEMA, "PRAGMA user_version"):
            assert database.execute(question).fetchall() == fresh.execute(question).fetchall()


def test_it_is_whole(database: sqlite3.Connection) -> None:
    """Every table that gets a row from a finished turn has one for each thread."""
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    for table in ("events", "threads", "thread_people", "turns", "parts", "sessions", "remembered"):
        counted = database.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608  # named above
        assert counted == [(THREADS,)], table
    assert database.execute("SELECT sum(sessions), sum(size) FROM days").fetchall() == [
        (THREADS, THREADS * SIZE)
    ]


async def test_the_bot_works_with_it(made: ManyThreads) -> None:
    """The bot finds a thread with its session, uses the same session id, and goes on."""
    async with open_store(made.folder, clock=ManualClock(), max_running_per_user=1) as store:
        for number in (1, 2, THREADS):
            key = made.key(number)
            thread = await store.thread_by_key(key)
            assert thread is not None
            assert thread.participants_known
            session = await store.current_session(key)
            assert session is not None
            assert (session.number, session.id) == (number, made.session_id(number))
            assert {session.owner} == thread.participants
            turn = await store.turn_by_ts(TEAM, key.channel, key.root_ts)
            assert turn is not None
            assert turn.state is TurnState.DONE
            assert await store.history_entry(number, turn.id) is not None
        key = made.key(THREADS)
        again = replace(make_message(1), thread=key, ts=key.root_ts, event_id="Ev-again")
        assert (await store.accept_message(again)).status is AcceptStatus.DUPLICATE
        later = replace(
            make_message(1), thread=key, ts=f"{float(key.root_ts) + 9:.6f}", event_id="Ev-new"
        )
        assert (await store.accept_message(later)).status is AcceptStatus.SCHEDULED
        sizes = {made.session_id(number): SIZE for number in range(1, THREADS + 1)}
        assert await store.save_sizes(sizes) == OrphanReport(orphan_sizes={}, missing_count=0)


@pytest.mark.parametrize("meant", [1, 30, THREADS - 1])
async def test_so_many_are_unused_for_the_longest(made: ManyThreads, meant: int) -> None:
    async with open_store(made.folder, clock=ManualClock(), max_running_per_user=1) as store:
        totals = await store.session_totals(SessionFilter(unused_since=made.unused_since(meant)))
    assert (totals.count, totals.size) == (meant, meant * SIZE)


async def test_every_row_is_measured(tmp_path: Path) -> None:
    """A wrong answer of the store would raise."""
    measured = await rows(Ground(folder=tmp_path, tiny=True))
    names = [row.name.removeprefix("900 mapped threads: ") for row in measured]
    assert names == ["look-up", "session", "page 1", "page 20", "cleanup preview"]
    assert all(row.goal == GOAL and row.unit == "ms" for row in measured)
    assert [[limit.name for limit in row.limits] for row in measured] == [
        *([["p99"]] * 2),
        *([[]] * 3),
    ]
    assert all(each.ours > 0 and each.theirs > 0 for row in measured for each in row.rounds)
