"""Lists, sums and deletes sessions.

Where a filter has nothing but a time, the table `days` gives the count and finds any page without
counting rows. Measured with a million sessions: 0.1 ms instead of 110. Triggers keep the table up
to date; rows of `sessions` are read for one day only, the last of the range.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from bot.domain.sessions import OrphanReport, SessionFilter, SessionPage, SessionTotals
from bot.store.sqlite.connection import fetch_all, snapshot
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.session_rows import SELECT_SESSION, read_sessions
from bot.store.sqlite.turns import ERASE_TEXT

WRITE_BATCH_SIZE: Final = 500
"""Number of sessions written in one commit. Other writes run between two batches."""
READ_BATCH_SIZE: Final = 10_000
"""Number of ids read at once. The event loop runs between two batches."""

# The turns of some sessions: those in their history, and those that they were prompted with.
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
# The last session of a thread takes the thread's other turns along: those that were refused,
# withdrawn, or never assigned to a session.
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
# An answer of a comparison is erased with its session and all copies of that session.
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

_DAY_SECONDS: Final = 86_400
_FAR_FUTURE_DAY: Final = 1 << 40
"""A day that never comes."""

SUMS_USED_BEFORE: Final = """
    SELECT coalesce(sum(sessions), 0), coalesce(sum(size), 0) FROM (
        SELECT sessions, size FROM days WHERE day < :day
        UNION ALL
        SELECT count(*), sum(size) FROM sessions WHERE used >= :begin AND used < :until
    )
"""
# The day of the session after `skipped` ones, newest first, and the number of later sessions.
DAY_AT_OFFSET: Final = """
    SELECT day, later FROM (
        SELECT day, sessions, sum(sessions) OVER (ORDER BY day DESC) - sessions AS later
        FROM days WHERE day < :day
    ) WHERE later <= :skipped AND later + sessions > :skipped
"""
COUNT_IN_DAY: Final = "SELECT count(*) FROM sessions WHERE used >= :begin AND used < :until"
OLDEST_AND_NEWEST: Final = """
    SELECT coalesce((SELECT used FROM sessions WHERE used < :until ORDER BY used LIMIT 1), 0.0),
           coalesce((SELECT used FROM sessions WHERE used < :until
                     ORDER BY used DESC LIMIT 1 OFFSET :skipped), 0.0)
"""
SIZE_OF_NEWEST: Final = """
    SELECT coalesce(sum(size), 0) FROM (
        SELECT size FROM sessions WHERE used < :until
        ORDER BY used DESC, number DESC LIMIT :skipped
    )
"""


def find_page(
    database: sqlite3.Connection, session_filter: SessionFilter, offset: int, limit: int
) -> SessionPage:
    """The sessions that match, the most recently used first."""
    kept = max(0, session_filter.keep_newest)
    skipped = offset + kept
    with snapshot(database):
        if _filters_by_time_only(session_filter):
            matching = _count_used_before(database, session_filter.unused_since)
            until, skipped = _resolve_offset(database, session_filter.unused_since, skipped)
            session_filter = SessionFilter(unused_since=until)
        else:
            ((matching,),) = fetch_all(
                database, count_query(session_filter), _filter_values(session_filter)
            )
        values = {**_filter_values(session_filter), "offset": skipped, "limit": limit}
        return SessionPage(
            sessions=read_sessions(database, page_query(session_filter), values),
            total=max(0, matching - kept),
        )


def find_totals(database: sqlite3.Connection, session_filter: SessionFilter) -> SessionTotals:
    """The totals of the sessions that match."""
    if _filters_by_time_only(session_filter):
        with snapshot(database):
            return _totals_used_before(
                database, session_filter.unused_since, max(0, session_filter.keep_newest)
            )
    ((count, size, oldest, newest),) = fetch_all(
        database, totals_query(session_filter), _filter_values(session_filter)
    )
    return SessionTotals(count=count, size=size, oldest=oldest, newest=newest)


def page_query(session_filter: SessionFilter) -> str:
    """The query of a page. It finds the numbers in an index, skipped ones included, and looks up
    only the rows of the page."""
    matching = (
        f"SELECT number FROM sessions {_where_clause(session_filter)} "  # noqa: S608  # constants only
        "ORDER BY used DESC, number DESC LIMIT :limit OFFSET :offset"
    )
    return f"{SELECT_SESSION} WHERE s.number IN ({matching}) ORDER BY s.used DESC, s.number DESC"


def count_query(session_filter: SessionFilter) -> str:
    """The query that counts the sessions that match, those of `keep_newest` included."""
    return f"SELECT count(*) FROM sessions {_where_clause(session_filter)}"  # noqa: S608  # constants only


def totals_query(session_filter: SessionFilter) -> str:
    """The query of the totals."""
    matching = f"FROM sessions {_where_clause(session_filter)}"
    if session_filter.keep_newest > 0:
        matching = (
            f"FROM (SELECT used, size {matching} "
            "ORDER BY used DESC, number DESC LIMIT -1 OFFSET :keep)"
        )
    return (
        "SELECT count(*), coalesce(sum(size), 0), coalesce(min(used), 0.0), "
        f"coalesce(max(used), 0.0) {matching}"
    )


class SessionListQueries(Queries):
    """Queries for many sessions: the second part of `bot.ports.SessionStore`."""

    @read
    def list_sessions(
        self, database: sqlite3.Connection, session_filter: SessionFilter, offset: int, limit: int
    ) -> SessionPage:
        return find_page(database, session_filter, offset, limit)

    @read
    def session_totals(
        self, database: sqlite3.Connection, session_filter: SessionFilter
    ) -> SessionTotals:
        return find_totals(database, session_filter)

    @read
    def _session_ids(
        self, database: sqlite3.Connection, after: int, limit: int
    ) -> Sequence[tuple[int, str]]:
        query = "SELECT number, id FROM sessions WHERE number > ? ORDER BY number LIMIT ?"
        return [
            (int(number), str(session_id))
            for number, session_id in fetch_all(database, query, (after, limit))
        ]

    @read
    def _session_sizes(
        self, database: sqlite3.Connection, after: int, limit: int
    ) -> Sequence[tuple[int, str, int, bool]]:
        found = fetch_all(database, _LIST_SIZES, (after, limit))
        return [
            (int(number), str(session_id), int(size), bool(has_turns))
            for number, session_id, size, has_turns in found
        ]

    async def session_ids(self) -> frozenset[str]:
        found: set[str] = set()
        last = 0
        # By number: a session that is added during the read is found, too, and is no orphan.
        while batch := await self._session_ids(last, READ_BATCH_SIZE):
            found.update(session_id for _, session_id in batch)
            last, _ = batch[-1]
        return frozenset(found)

    async def save_sizes(self, sizes: Mapping[str, int]) -> OrphanReport:
        unrecorded, missing, last = dict(sizes), 0, 0
        while batch := await self._session_sizes(last, READ_BATCH_SIZE):
            last, *_ = batch[-1]
            changed = {}
            for _, session_id, size, has_turns in batch:
                found = unrecorded.pop(session_id, None)
                missing += has_turns and found is None
                if found is not None and found != size:
                    changed[session_id] = found
            items = iter(changed.items())
            while some := dict(islice(items, WRITE_BATCH_SIZE)):
                await self._save_sizes(some)
        return OrphanReport(orphan_sizes=unrecorded, missing_count=missing)

    async def delete_sessions(self, sessions: Sequence[int]) -> int:
        deleted = 0
        for first in range(0, len(sessions), WRITE_BATCH_SIZE):
            deleted += await self._delete_sessions(sessions[first : first + WRITE_BATCH_SIZE])
        return deleted

    @write
    def _save_sizes(self, database: sqlite3.Connection, sizes: Mapping[str, int]) -> None:
        database.executemany(
            "UPDATE sessions SET size = ? WHERE id = ?",
            [(size, session_id) for session_id, size in sizes.items()],
        )

    @write
    def _delete_sessions(self, database: sqlite3.Connection, numbers: Sequence[int]) -> int:
        values = {"sessions": json.dumps(list(numbers))}
        affected = {int(row[0]) for row in fetch_all(database, _AFFECTED_TURNS, values)}
        fetch_all(database, _DELETE_HISTORY, values)
        threads = [int(row[0]) for row in fetch_all(database, _DELETE_SESSIONS, values)]
        unassigned = fetch_all(
            database, _TURNS_WITHOUT_SESSION, {"threads": json.dumps(sorted(set(threads)))}
        )
        affected |= {int(row[0]) for row in unassigned}
        fetch_all(database, ERASE_TEXT, (json.dumps(sorted(affected)),))
        affected |= {int(row[0]) for row in fetch_all(database, _DETACH_CANDIDATES, values)}
        fetch_all(database, _ERASE_CANDIDATE_ANSWERS, (json.dumps(sorted(affected)),))
        return len(threads)


def _filters_by_time_only(session_filter: SessionFilter) -> bool:
    """True if the filter has nothing but a time: then `days` has the answer."""
    return session_filter == SessionFilter(
        unused_since=session_filter.unused_since, keep_newest=session_filter.keep_newest
    )


def _where_clause(session_filter: SessionFilter) -> str:
    """The WHERE clause, with a parameter for each restriction; empty without any.

    The first selective condition is searched by an index. The plus keeps SQLite, which does not
    know how frequent each value is, from choosing another one.
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


def _count_used_before(database: sqlite3.Connection, until: float | None) -> int:
    """The number of sessions last used before a time; None for all."""
    ((number, _),) = fetch_all(database, SUMS_USED_BEFORE, _day_values(until))
    return int(number)


def _totals_used_before(
    database: sqlite3.Connection, until: float | None, skipped: int
) -> SessionTotals:
    """The totals of the sessions last used before a time, without the newest `skipped`."""
    until, skipped = _resolve_offset(database, until, skipped)
    of_day = _day_values(until)
    ((number, size),) = fetch_all(database, SUMS_USED_BEFORE, of_day)
    if number <= skipped:
        return SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)
    at = {"until": of_day["until"], "skipped": skipped}
    ((oldest, newest),) = fetch_all(database, OLDEST_AND_NEWEST, at)
    ((left_out,),) = fetch_all(database, SIZE_OF_NEWEST, at)
    return SessionTotals(count=number - skipped, size=size - left_out, oldest=oldest, newest=newest)


def _resolve_offset(
    database: sqlite3.Connection, until: float | None, skipped: int
) -> tuple[float | None, int]:
    """The same position among all sessions, newest first, with fewer rows to skip.

    An earlier `until` replaces most of `skipped`. Both stay as they are when the position is behind
    the last session.
    """
    if not skipped:
        return until, 0
    of_day = _day_values(until)
    ((same_day,),) = fetch_all(database, COUNT_IN_DAY, of_day)
    if skipped < same_day:
        return until, skipped
    found = fetch_all(
        database, DAY_AT_OFFSET, {"day": of_day["day"], "skipped": skipped - same_day}
    )
    if not found:
        return until, skipped
    ((day, later),) = found
    return float((day + 1) * _DAY_SECONDS), skipped - same_day - later


def _day_values(until: float | None) -> dict[str, float]:
    """The day of a time, its first second, and the time."""
    day = _FAR_FUTURE_DAY if until is None else int(until // _DAY_SECONDS)
    begin = day * _DAY_SECONDS
    return {"day": day, "begin": begin, "until": begin if until is None else until}
