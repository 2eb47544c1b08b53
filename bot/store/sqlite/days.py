"""What is known of sessions day by day, by when each was last used: how many there are is told, and
any page of them found, without counting (measured with a million: 0.1 ms instead of 110).

The days are kept up to date by triggers; only of the one day that a question ends in, the sessions
themselves are looked at.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from bot.domain.sessions import Totals
from bot.store.sqlite.connection import rows

_SECONDS: Final = 86_400
_AFTER_ALL: Final = 1 << 40
"""A day that never comes."""

SUMS: Final = """
    SELECT coalesce(sum(sessions), 0), coalesce(sum(size), 0) FROM (
        SELECT sessions, size FROM days WHERE day < :day
        UNION ALL
        SELECT count(*), sum(size) FROM sessions WHERE used >= :begin AND used < :until
    )
"""
# The day on which the one after the newest so many was used, and how many of these came later.
DAY_AFTER: Final = """
    SELECT day, later FROM (
        SELECT day, sessions, sum(sessions) OVER (ORDER BY day DESC) - sessions AS later
        FROM days WHERE day < :day
    ) WHERE later <= :skipped AND later + sessions > :skipped
"""
IN_DAY: Final = "SELECT count(*) FROM sessions WHERE used >= :begin AND used < :until"
EDGES: Final = """
    SELECT coalesce((SELECT used FROM sessions WHERE used < :until ORDER BY used LIMIT 1), 0.0),
           coalesce((SELECT used FROM sessions WHERE used < :until
                     ORDER BY used DESC LIMIT 1 OFFSET :skipped), 0.0)
"""
NEWEST: Final = """
    SELECT coalesce(sum(size), 0) FROM (
        SELECT size FROM sessions WHERE used < :until
        ORDER BY used DESC, number DESC LIMIT :skipped
    )
"""


def count(database: sqlite3.Connection, until: float | None) -> int:
    """How many sessions were last used before a time; None for all."""
    ((number, _),) = rows(database, SUMS, _of_day(until))
    return int(number)


def totals(database: sqlite3.Connection, until: float | None, skipped: int) -> Totals:
    """What the sessions come to that were last used before a time, but for the newest so many."""
    until, skipped = place(database, until, skipped)
    of_day = _of_day(until)
    ((number, size),) = rows(database, SUMS, of_day)
    if number <= skipped:
        return Totals(count=0, size=0, oldest=0.0, newest=0.0)
    at = {"until": of_day["until"], "skipped": skipped}
    ((oldest, newest),) = rows(database, EDGES, at)
    ((left_out,),) = rows(database, NEWEST, at)
    return Totals(count=number - skipped, size=size - left_out, oldest=oldest, newest=newest)


def place(
    database: sqlite3.Connection, until: float | None, skipped: int
) -> tuple[float | None, int]:
    """The same place among all sessions, newest used first, with fewer to be skipped: so many of
    those that were last used before a time. Where it is behind them all it stays as it is."""
    if not skipped:
        return until, 0
    of_day = _of_day(until)
    ((same_day,),) = rows(database, IN_DAY, of_day)
    if skipped < same_day:
        return until, skipped
    found = rows(database, DAY_AFTER, {"day": of_day["day"], "skipped": skipped - same_day})
    if not found:
        return until, skipped
    ((day, later),) = found
    return float((day + 1) * _SECONDS), skipped - same_day - later


def _of_day(until: float | None) -> dict[str, float]:
    """The day that a time falls on, when it begins, and the time."""
    day = _AFTER_ALL if until is None else int(until // _SECONDS)
    begin = day * _SECONDS
    return {"day": day, "begin": begin, "until": begin if until is None else until}
