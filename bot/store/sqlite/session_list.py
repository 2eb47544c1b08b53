"""What is said to the database about many sessions at once: pages, sums, and taking them off."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from bot.domain.sessions import SessionFilter, SessionPage, SessionTotals
from bot.store.sqlite import days
from bot.store.sqlite.connection import fetch_all, snapshot
from bot.store.sqlite.session_rows import SELECT_SESSION, read_sessions
from bot.store.sqlite.turns import ERASE_TEXT

# Which turns a session has to do with: what it remembers, and what it was asked all the same.
_AFFECTED_TURNS = """
    SELECT turn FROM remembered WHERE session IN (SELECT value FROM json_each(:sessions))
    UNION
    SELECT id FROM turns WHERE session IN (SELECT value FROM json_each(:sessions))
"""
_DELETE_HISTORY = """
    DELETE FROM remembered WHERE session IN (SELECT value FROM json_each(:sessions))
"""
_DELETE_SESSIONS = """
    DELETE FROM sessions WHERE number IN (SELECT value FROM json_each(:sessions))
    RETURNING thread
"""
# When its last session goes, a thread's other turns go along: those that were refused, withdrawn
# or never got as far as a session.
_TURNS_WITHOUT_SESSION = """
    SELECT n.id FROM turns n
    WHERE n.thread IN (SELECT value FROM json_each(:threads))
      AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.thread = n.thread)
"""
_DETACH_CANDIDATES = """
    UPDATE candidates SET session = 0
    WHERE session <> 0 AND session IN (SELECT value FROM json_each(:sessions))
    RETURNING turn
"""
# The answers of a comparison go when the session that gave one has gone, and all that came of it.
_ERASE_CANDIDATE_ANSWERS = """
    UPDATE candidates SET answer = ''
    WHERE turn IN (SELECT value FROM json_each(?)) AND session = 0
      AND NOT EXISTS (SELECT 1 FROM remembered r
                      WHERE r.turn = candidates.turn AND r.label = candidates.label)
"""
_LIST_SIZES = """
    SELECT number, id, size, turns > 0 FROM sessions WHERE number > ? ORDER BY number LIMIT ?
"""
_IN_THREAD = """
    thread = (SELECT id FROM threads WHERE team = :team AND channel = :in AND root_ts = :root_ts)
"""


def list_sessions(
    database: sqlite3.Connection, session_filter: SessionFilter, offset: int, limit: int
) -> SessionPage:
    """Sessions that fit, newest used first."""
    kept = max(0, session_filter.keep_newest)
    skipped = offset + kept
    with snapshot(database):
        if _filters_by_time_only(session_filter):
            fitting = days.count_used_before(database, session_filter.unused_since)
            until, skipped = days.resolve_offset(database, session_filter.unused_since, skipped)
            session_filter = SessionFilter(unused_since=until)
        else:
            ((fitting,),) = fetch_all(
                database, count_query(session_filter), _filter_values(session_filter)
            )
        values = {**_filter_values(session_filter), "offset": skipped, "limit": limit}
        return SessionPage(
            sessions=read_sessions(database, page_query(session_filter), values),
            total=max(0, fitting - kept),
        )


def session_totals(database: sqlite3.Connection, session_filter: SessionFilter) -> SessionTotals:
    """What the sessions that fit come to."""
    if _filters_by_time_only(session_filter):
        with snapshot(database):
            return days.totals_used_before(
                database, session_filter.unused_since, max(0, session_filter.keep_newest)
            )
    ((count, size, oldest, newest),) = fetch_all(
        database, totals_query(session_filter), _filter_values(session_filter)
    )
    return SessionTotals(count=count, size=size, oldest=oldest, newest=newest)


def page_query(session_filter: SessionFilter) -> str:
    """The query of a page: the numbers are found in an index, skipped ones too, and only what is
    shown is looked up."""
    fitting = (
        f"SELECT number FROM sessions {_where_clause(session_filter)} "  # noqa: S608  # constants only
        "ORDER BY used DESC, number DESC LIMIT :limit OFFSET :offset"
    )
    return f"{SELECT_SESSION} WHERE s.number IN ({fitting}) ORDER BY s.used DESC, s.number DESC"


def count_query(session_filter: SessionFilter) -> str:
    """How many sessions fit, the newest that are to be left out among them."""
    return f"SELECT count(*) FROM sessions {_where_clause(session_filter)}"  # noqa: S608  # constants only


def totals_query(session_filter: SessionFilter) -> str:
    """The query of the sums."""
    fitting = f"FROM sessions {_where_clause(session_filter)}"
    if session_filter.keep_newest > 0:
        fitting = (
            f"FROM (SELECT used, size {fitting} "
            "ORDER BY used DESC, number DESC LIMIT -1 OFFSET :keep)"
        )
    return (
        "SELECT count(*), coalesce(sum(size), 0), coalesce(min(used), 0.0), "
        f"coalesce(max(used), 0.0) {fitting}"
    )


def session_ids(database: sqlite3.Connection, after: int, limit: int) -> Sequence[tuple[int, str]]:
    """Numbers and ids of sessions, from the first number after another one on."""
    query = "SELECT number, id FROM sessions WHERE number > ? ORDER BY number LIMIT ?"
    return [(int(number), str(name)) for number, name in fetch_all(database, query, (after, limit))]


def session_sizes(
    database: sqlite3.Connection, after: int, limit: int
) -> Sequence[tuple[int, str, int, bool]]:
    """The same with their sizes, and whether each was asked anything."""
    found = fetch_all(database, _LIST_SIZES, (after, limit))
    return [(int(number), str(name), int(size), bool(asked)) for number, name, size, asked in found]


def delete_sessions(database: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Take sessions off the record, with the words that no other session remembers."""
    values = {"sessions": json.dumps(list(numbers))}
    touched = {int(row[0]) for row in fetch_all(database, _AFFECTED_TURNS, values)}
    fetch_all(database, _DELETE_HISTORY, values)
    threads = [int(row[0]) for row in fetch_all(database, _DELETE_SESSIONS, values)]
    bare = fetch_all(
        database, _TURNS_WITHOUT_SESSION, {"threads": json.dumps(sorted(set(threads)))}
    )
    touched |= {int(row[0]) for row in bare}
    fetch_all(database, ERASE_TEXT, (json.dumps(sorted(touched)),))
    touched |= {int(row[0]) for row in fetch_all(database, _DETACH_CANDIDATES, values)}
    fetch_all(database, _ERASE_CANDIDATE_ANSWERS, (json.dumps(sorted(touched)),))
    return len(threads)


def _filters_by_time_only(session_filter: SessionFilter) -> bool:
    """Whether nothing narrows but when sessions were last used: then the days tell."""
    return session_filter == SessionFilter(
        unused_since=session_filter.unused_since, keep_newest=session_filter.keep_newest
    )


def _where_clause(session_filter: SessionFilter) -> str:
    """The WHERE, with a parameter for each thing that narrows; nothing where nothing does.

    The first of those that narrow much is what is searched by; the plus keeps SQLite, which does
    not know what is how frequent, from searching by another one.
    """
    searched = [
        condition
        for condition, narrows in (
            (_IN_THREAD, session_filter.thread is not None),
            ("owner = :owner", bool(session_filter.owner)),
            ("channel = :channel", bool(session_filter.channel)),
            ("last_model = :model", bool(session_filter.model)),
        )
        if narrows
    ]
    tested = [
        condition
        for condition, narrows in (
            ("used < :unused_since", session_filter.unused_since is not None),
            ("current = :current", session_filter.inactive is not None),
            (
                "(origin = 'comparison' AND current = 0) = :copies",
                session_filter.comparison_copies is not None,
            ),
        )
        if narrows
    ]
    conditions = [*searched[:1], *(f"+{each}" for each in searched[1:]), *tested]
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _filter_values(session_filter: SessionFilter) -> dict[str, object]:
    values: dict[str, object] = {
        "owner": session_filter.owner,
        "channel": session_filter.channel,
        "model": session_filter.model,
        "unused_since": session_filter.unused_since,
        "current": session_filter.inactive is False,
        "copies": bool(session_filter.comparison_copies),
        "keep": session_filter.keep_newest,
    }
    if session_filter.thread is not None:
        key = session_filter.thread
        values |= {"team": key.team, "in": key.channel, "root_ts": key.root_ts}
    return values
