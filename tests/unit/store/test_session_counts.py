"""Checks that the counts by day match the sessions, after any change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import nextafter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.sessions import SessionFilter, SessionTotals
from bot.store.sqlite import session_list
from bot.store.sqlite.schema import migrate

DAY: Final = 86_400.0
ADD: Final = """
    INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, size, created,
                          used)
    VALUES (?, 1, 'C0', '', 0, 'U0', '', 'thread', ?, 0.0, ?)
"""
NONE: Final = SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)

# Within a day, at its edges, and just beside them.
times = st.one_of(
    st.builds(
        lambda day, second: day * DAY + second,
        st.integers(0, 4),
        st.sampled_from([0.0, 1.5, 40_000.0]),
    ),
    st.integers(1, 5).map(lambda day: nextafter(day * DAY, 0.0)),
)
sizes = st.integers(0, 3)
picks = st.integers(0, 20)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("added"), times, sizes),
        st.tuples(st.just("used"), times, picks),
        st.tuples(st.just("measured"), sizes, picks),
        st.tuples(st.just("used and measured"), times, picks),
        st.tuples(st.just("deleted"), picks),
    ),
    max_size=25,
)


@contextmanager
def emptied() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        database.execute("INSERT INTO threads VALUES (1, 'T0', 'C0', '1.000000', 0, 1, 0.0)")
        yield database


def change(database: sqlite3.Connection, what: str, *values: float) -> None:
    """One change to a session; to the picked one, if there is one already."""
    if what == "added":
        used, size = values
        ((number,),) = database.execute("SELECT coalesce(max(number), 0) FROM sessions").fetchall()
        database.execute(ADD, (f"id-{number + 1}", size, used))
        return
    statement = {
        "used": "UPDATE sessions SET used = ?",
        "measured": "UPDATE sessions SET size = ?",
        "used and measured": "UPDATE sessions SET used = ?, size = size + 1",
        "deleted": "DELETE FROM sessions",
    }[what]
    database.execute(f"{statement} WHERE number = ?", values)


@given(changes)
def test_the_days_stand_as_the_sessions_do(done: list[tuple[str, float]]) -> None:
    with emptied() as database:
        for each in done:
            change(database, *each)
        counted = database.execute(
            "SELECT CAST(used AS INTEGER) / 86400, count(*), sum(size) FROM sessions "
            "GROUP BY 1 ORDER BY 1"
        )
        kept = database.execute("SELECT day, sessions, size FROM days ORDER BY day")
        assert kept.fetchall() == counted.fetchall()


@given(
    changes,
    st.none() | times | st.sampled_from([-DAY, -1.0, 1e12]),
    st.integers(-1, 8),
    st.integers(0, 8),
    st.integers(0, 4),
)
def test_pages_and_totals_by_day_are_those_that_counting_finds(
    done: list[tuple[str, float]], until: float | None, keep: int, offset: int, limit: int
) -> None:
    wanted = SessionFilter(unused_since=until, keep_newest=keep)
    with emptied() as database:
        for each in done:
            change(database, *each)
        everything = database.execute(
            "SELECT number, used, size FROM sessions ORDER BY used DESC, number DESC"
        ).fetchall()
        fitting = [row for row in everything if until is None or row[1] < until][max(0, keep) :]

        page = session_list.find_page(database, wanted, offset, limit)
        found = [(session.number, session.last_used_at, session.size) for session in page.sessions]
        assert found == fitting[offset : offset + limit]
        assert page.total == len(fitting)

        used = [row[1] for row in fitting]
        assert session_list.find_totals(database, wanted) == (
            SessionTotals(
                count=len(fitting),
                size=sum(row[2] for row in fitting),
                oldest=min(used),
                newest=max(used),
            )
            if fitting
            else NONE
        )


@pytest.mark.parametrize(
    "statement",
    [
        session_list.SUMS_USED_BEFORE,
        session_list.DAY_AT_OFFSET,
        session_list.COUNT_IN_DAY,
        session_list.OLDEST_AND_NEWEST,
        session_list.SIZE_OF_NEWEST,
    ],
)
def test_of_the_sessions_only_an_index_is_read_and_of_that_one_day(statement: str) -> None:
    values = {"day": 2, "begin": 2 * DAY, "until": 2.5 * DAY, "skipped": 1}
    with emptied() as database:
        steps = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    read = [step for step in steps if "sessions" in step]
    assert all("COVERING INDEX sessions_by_use (used" in step for step in read), steps
    assert read or "days" in " ".join(steps)
