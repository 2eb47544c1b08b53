"""Checks the query plans.

What runs for every message, and every page of a list, costs the same with a million turns and
sessions as with a thousand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter
from bot.domain.usage import UsageGrouping
from bot.store.sqlite import (
    checkpoints,
    commands,
    comparisons,
    inbox,
    indicators,
    preferences,
    session_history,
    session_list,
    session_rows,
    sessions,
    thread_context,
    turns,
    usage,
)
from bot.store.sqlite.schema import migrate

HERE = ThreadKey(team="T0", channel="C0", root_ts="1.000000")

AT_EVERY_MESSAGE = [
    inbox.MENTIONED_LATER,
    inbox.REEVALUATE,
    inbox.OUT_OF_ORDER,
    turns.CLAIM,
    turns.RECOVER,
    turns.RUNNING,
    turns.RUNNING_IN_THREAD,
    turns.ALL_RUNNING,
    turns.RUNNING_OF_USER,
    turns.WAITING,
    turns.WAITING_IN_THREAD,
    turns.TURN_BY_ID,
    turns.TURN_BY_TS,
    turns.UNNOTIFIED,
    turns.LATEST_RETRY,
    indicators.ADD_WAITING_INDICATOR,
    indicators.STALE_WAITING_INDICATORS,
    indicators.STALE_STATUS_INDICATORS,
    thread_context.UNSEEN_MESSAGES,
    thread_context.THREAD_TURNS,
    thread_context.ORIGINAL_TS,
    thread_context.LAST_MESSAGE_TS,
    commands.COMMAND_KEYS,
    commands.UNFINISHED_COMMANDS,
    commands.COMMAND_TS,
    preferences.QUIET,
    preferences.FOR_SCOPE,
    preferences.OF_KIND,
    sessions.ASSIGNED_SESSION,
    sessions.CURRENT_BY_THREAD_ID,
    sessions.CURRENT_BY_THREAD_KEY,
    sessions.CURRENT_SESSIONS,
    sessions.SESSION_BY_ID,
    sessions.FORKS_SINCE,
    session_rows.SESSION_BY_NUMBER,
    session_history.HISTORY_PAGE,
    session_history.HISTORY_ENTRY,
    session_history.NEXT_ENTRY,
    session_history.ENTRY_AFTER_POSITION,
    session_history.COUNT_AFTER,
    comparisons.COMPARISON,
    comparisons.CANDIDATES,
    comparisons.SCORES,
    usage.COUNT_SINCE,
]
# Steps that go through something small: what is open, what was given along, what a subquery found.
SMALL = (
    "INDEX turns_waiting",
    "INDEX turns_running",
    "INDEX orders_unfinished",
    "SCAN asked VIRTUAL TABLE",
    "SCAN (subquery",
    "SCAN newest",
    "SCAN chain",
    "SCAN c",
    "SCAN CONSTANT ROW",
)

# (what is wanted, the index in whose order it is found)
PAGES = [
    (SessionFilter(), "sessions_by_use"),
    (SessionFilter(inactive=True, keep_newest=9), "sessions_by_use"),
    (SessionFilter(comparison_copies=True), "sessions_by_use"),
    (SessionFilter(owner="U0", comparison_copies=False), "sessions_of_owner (owner=?)"),
    (SessionFilter(channel="C0", comparison_copies=False), "sessions_of_channel (channel=?)"),
    (SessionFilter(model="gpt", comparison_copies=True), "sessions_of_model (last_model=?)"),
    (SessionFilter(unused_since=5.0), "sessions_by_use (used<?)"),
    (SessionFilter(owner="U0"), "sessions_of_owner (owner=?)"),
    (SessionFilter(owner="U0", unused_since=5.0), "sessions_of_owner (owner=? AND used<?)"),
    (SessionFilter(channel="C0", inactive=False), "sessions_of_channel (channel=?)"),
    (SessionFilter(model="gpt", keep_newest=9), "sessions_of_model (last_model=?)"),
]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        yield database


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    """The steps in which a statement is carried out."""
    values: dict[str, object] | tuple[object, ...] = (1,) * 6
    if ":" in statement:
        names = (
            *("after", "asked", "before", "channel", "copies", "current", "event_id", "id", "in"),
            *("keep", "limit", "model", "most", "now", "offset", "owner", "per_user", "position"),
            "role",
            *("root_ts", "session", "since", "team", "text", "thread", "ts", "unused_since"),
            "user",
        )
        values = dict.fromkeys(names, 1)
    elif "?1" in statement:
        values = (1,) * sum(f"?{number}" in statement for number in range(1, 10))
    else:
        values = (1,) * statement.count("?")
    return [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("statement", AT_EVERY_MESSAGE)
def test_what_is_old_is_never_read_through(database: sqlite3.Connection, statement: str) -> None:
    """Every table is searched, or walked along one of the partial indexes of what is open."""
    steps = plan(database, statement)
    assert steps
    assert [s for s in steps if s.startswith("SCAN") and not any(it in s for it in SMALL)] == []


def test_a_threads_newest_turns_are_found_in_their_order(database: sqlite3.Connection) -> None:
    steps = plan(database, thread_context.THREAD_TURNS)
    assert "SEARCH n USING INDEX turns_in_thread (thread=?)" in steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


def test_where_people_speak_is_found_in_what_was_received_lately(
    database: sqlite3.Connection,
) -> None:
    steps = plan(database, checkpoints.ACTIVE_THREADS)
    assert any("COVERING INDEX events_by_time (team=? AND heard>?)" in step for step in steps), (
        steps
    )
    assert not any(step.startswith("SCAN") for step in steps), steps


@pytest.mark.parametrize("statement", [turns.CLAIM, turns.WAITING_IN_THREAD])
def test_what_waits_is_found_among_what_waits(database: sqlite3.Connection, statement: str) -> None:
    steps = plan(database, statement)
    assert not any("turns_in_thread" in step for step in steps), steps


def test_of_the_thread_whose_session_is_looked_up_an_index_tells_all(
    database: sqlite3.Connection,
) -> None:
    thread, session = plan(database, sessions.CURRENT_BY_THREAD_KEY)
    assert thread.startswith("SEARCH h USING COVERING INDEX")
    assert session == "SEARCH s USING INDEX sessions_current (thread=? AND role=?)"


@pytest.mark.parametrize(("wanted", "index"), PAGES)
def test_a_page_of_sessions_is_found_in_its_order(
    database: sqlite3.Connection, wanted: SessionFilter, index: str
) -> None:
    """Nothing is sorted but the page itself, and only its rows are looked up."""
    steps = plan(database, session_list.page_query(wanted))
    assert any(f"COVERING INDEX {index}" in step for step in steps), steps
    sorted_ = [number for number, step in enumerate(steps) if "TEMP B-TREE" in step]
    assert sorted_ in ([], [len(steps) - 1]), steps
    assert [s for s in steps if s.startswith("SCAN") and f"INDEX {index}" not in s] == []


@pytest.mark.parametrize(("wanted", "index"), PAGES)
def test_sessions_are_added_up_from_an_index_alone(
    database: sqlite3.Connection, wanted: SessionFilter, index: str
) -> None:
    steps = plan(database, session_list.totals_query(wanted))
    assert any(f"COVERING INDEX {index}" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (SessionFilter(thread=HERE, owner="U0"), "sessions_of_thread (thread=?)"),
        (SessionFilter(owner="U0", channel="C0", model="gpt"), "sessions_of_owner (owner=?)"),
        (SessionFilter(channel="C0", model="gpt"), "sessions_of_channel (channel=?)"),
    ],
)
def test_sessions_are_searched_by_what_narrows_most(
    database: sqlite3.Connection, wanted: SessionFilter, index: str
) -> None:
    for query in (session_list.page_query, session_list.count_query, session_list.totals_query):
        steps = plan(database, query(wanted))
        assert any(f"INDEX {index}" in step for step in steps), steps


@pytest.mark.parametrize("by", list(UsageGrouping))
@pytest.mark.parametrize(
    ("thread", "user", "channel", "index"),
    [
        (False, False, False, "COVERING INDEX turns_asked (prompted>?)"),
        (False, False, True, "COVERING INDEX turns_asked (prompted>?)"),
        (False, True, False, "COVERING INDEX turns_asked_by (user=? AND prompted>?)"),
        (True, False, False, "(thread=?"),
    ],
)
def test_usage_reads_its_time_only(
    database: sqlite3.Connection,
    by: UsageGrouping,
    thread: bool,
    user: bool,
    channel: bool,
    index: str,
) -> None:
    query = usage.usage_query(by, thread=thread, user=user, channel=channel)
    steps = plan(database, query)
    assert any(index in step for step in steps), steps


def test_the_audit_cannot_be_changed_even_by_hand(database: sqlite3.Connection) -> None:
    add = "INTO audit (id, at, by, act, target, detail) VALUES (1, 0.0, 'U0', ?, '', '')"
    database.execute(f"INSERT {add}", ("admin pause",))
    for tampering in (
        "UPDATE audit SET by = 'U1'",
        "DELETE FROM audit",
        f"INSERT OR REPLACE {add.replace('?', '0')}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="audit"):
            database.execute(tampering)
    assert database.execute("SELECT by, act FROM audit").fetchall() == [("U0", "admin pause")]


def test_the_database_itself_holds_to_one_current_session(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO threads VALUES (1, 'T0', 'C0', '1.000000', 0, 1, 0.0)")
    add = """
        INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, created,
                              used)
        VALUES (?, 1, 'C0', ?, ?, 'U0', '', 'thread', 0.0, 0.0)
    """
    for session_id, role, current in (("a", "", 1), ("b", "", 0), ("c", "", 0), ("d", "x", 1)):
        database.execute(add, (session_id, role, current))
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(add, ("e", "", 1))
