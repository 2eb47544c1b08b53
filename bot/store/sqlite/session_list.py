"""What is said to the database about many sessions at once: pages, sums, and taking them off."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from bot.domain.sessions import SessionFilter, SessionPage, Totals
from bot.store.sqlite import days
from bot.store.sqlite.connection import one_view, rows
from bot.store.sqlite.session_rows import SESSION, read_sessions
from bot.store.sqlite.turns import BLANK

# Which turns a session has to do with: what it remembers, and what it was asked all the same.
_TOUCHED = """
    SELECT turn FROM remembered WHERE session IN (SELECT value FROM json_each(:sessions))
    UNION
    SELECT id FROM turns WHERE session IN (SELECT value FROM json_each(:sessions))
"""
_FORGET = """
    DELETE FROM remembered WHERE session IN (SELECT value FROM json_each(:sessions))
"""
_DROP = """
    DELETE FROM sessions WHERE number IN (SELECT value FROM json_each(:sessions))
    RETURNING thread
"""
# When its last session goes, a thread's other turns go along: those that were refused, withdrawn
# or never got as far as a session.
_BARE = """
    SELECT n.id FROM turns n
    WHERE n.thread IN (SELECT value FROM json_each(:threads))
      AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.thread = n.thread)
"""
_GONE = """
    UPDATE candidates SET session = 0
    WHERE session <> 0 AND session IN (SELECT value FROM json_each(:sessions))
    RETURNING turn
"""
# The answers of a comparison go when the session that gave one has gone, and all that came of it.
_BLANK_ANSWERS = """
    UPDATE candidates SET answer = ''
    WHERE turn IN (SELECT value FROM json_each(?)) AND session = 0
      AND NOT EXISTS (SELECT 1 FROM remembered r
                      WHERE r.turn = candidates.turn AND r.label = candidates.label)
"""
_SIZES = """
    SELECT number, id, size, turns > 0 FROM sessions WHERE number > ? ORDER BY number LIMIT ?
"""
_IN_THREAD = """
    thread = (SELECT id FROM threads WHERE team = :team AND channel = :in AND root_ts = :root_ts)
"""


def sessions(
    database: sqlite3.Connection, wanted: SessionFilter, offset: int, limit: int
) -> SessionPage:
    """Sessions that fit, newest used first."""
    kept = max(0, wanted.keep_newest)
    skipped = offset + kept
    with one_view(database):
        if _by_time_alone(wanted):
            fitting = days.count(database, wanted.unused_since)
            until, skipped = days.place(database, wanted.unused_since, skipped)
            wanted = SessionFilter(unused_since=until)
        else:
            ((fitting,),) = rows(database, count_query(wanted), _values(wanted))
        values = {**_values(wanted), "offset": skipped, "limit": limit}
        return SessionPage(
            sessions=read_sessions(database, page_query(wanted), values),
            total=max(0, fitting - kept),
        )


def totals(database: sqlite3.Connection, wanted: SessionFilter) -> Totals:
    """What the sessions that fit come to."""
    if _by_time_alone(wanted):
        with one_view(database):
            return days.totals(database, wanted.unused_since, max(0, wanted.keep_newest))
    ((count, size, oldest, newest),) = rows(database, totals_query(wanted), _values(wanted))
    return Totals(count=count, size=size, oldest=oldest, newest=newest)


def page_query(wanted: SessionFilter) -> str:
    """The query of a page: the numbers are found in an index, skipped ones too, and only what is
    shown is looked up."""
    fitting = (
        f"SELECT number FROM sessions {_fits(wanted)} "  # noqa: S608  # constants only
        "ORDER BY used DESC, number DESC LIMIT :limit OFFSET :offset"
    )
    return f"{SESSION} WHERE s.number IN ({fitting}) ORDER BY s.used DESC, s.number DESC"


def count_query(wanted: SessionFilter) -> str:
    """How many sessions fit, the newest that are to be left out among them."""
    return f"SELECT count(*) FROM sessions {_fits(wanted)}"  # noqa: S608  # constants only


def totals_query(wanted: SessionFilter) -> str:
    """The query of the sums."""
    fitting = f"FROM sessions {_fits(wanted)}"
    if wanted.keep_newest > 0:
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
    return [(int(number), str(name)) for number, name in rows(database, query, (after, limit))]


def sizes(
    database: sqlite3.Connection, after: int, limit: int
) -> Sequence[tuple[int, str, int, bool]]:
    """The same with their sizes, and whether each was asked anything."""
    found = rows(database, _SIZES, (after, limit))
    return [(int(number), str(name), int(size), bool(asked)) for number, name, size, asked in found]


def drop(database: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Take sessions off the record, with the words that no other session remembers."""
    values = {"sessions": json.dumps(list(numbers))}
    touched = {int(row[0]) for row in rows(database, _TOUCHED, values)}
    rows(database, _FORGET, values)
    threads = [int(row[0]) for row in rows(database, _DROP, values)]
    bare = rows(database, _BARE, {"threads": json.dumps(sorted(set(threads)))})
    touched |= {int(row[0]) for row in bare}
    rows(database, BLANK, (json.dumps(sorted(touched)),))
    touched |= {int(row[0]) for row in rows(database, _GONE, values)}
    rows(database, _BLANK_ANSWERS, (json.dumps(sorted(touched)),))
    return len(threads)


def _by_time_alone(wanted: SessionFilter) -> bool:
    """Whether nothing narrows but when sessions were last used: then the days tell."""
    return wanted == SessionFilter(unused_since=wanted.unused_since, keep_newest=wanted.keep_newest)


def _fits(wanted: SessionFilter) -> str:
    """The WHERE, with a parameter for each thing that narrows; nothing where nothing does.

    The first of those that narrow much is what is searched by; the plus keeps SQLite, which does
    not know what is how frequent, from searching by another one.
    """
    searched = [
        condition
        for condition, narrows in (
            (_IN_THREAD, wanted.thread is not None),
            ("owner = :owner", bool(wanted.owner)),
            ("channel = :channel", bool(wanted.channel)),
            ("last_model = :model", bool(wanted.model)),
        )
        if narrows
    ]
    tested = [
        condition
        for condition, narrows in (
            ("used < :unused_since", wanted.unused_since is not None),
            ("current = :current", wanted.set_aside is not None),
            ("(origin = 'comparison' AND current = 0) = :copies", wanted.copies is not None),
        )
        if narrows
    ]
    conditions = [*searched[:1], *(f"+{each}" for each in searched[1:]), *tested]
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _values(wanted: SessionFilter) -> dict[str, object]:
    values: dict[str, object] = {
        "owner": wanted.owner,
        "channel": wanted.channel,
        "model": wanted.model,
        "unused_since": wanted.unused_since,
        "current": wanted.set_aside is False,
        "copies": bool(wanted.copies),
        "keep": wanted.keep_newest,
    }
    if wanted.thread is not None:
        key = wanted.thread
        values |= {"team": key.team, "in": key.channel, "root_ts": key.root_ts}
    return values
