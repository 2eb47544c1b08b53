"""What is known of sessions day by day, by when each was last used: how many there are is told, and
any page of them found, without counting (measured with a million: 0.1 ms instead of 110).

The days are kept up to date by triggers; only of the one day that a question ends in, the sessions
themselves are looked at.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from bot.domain.sessions import SessionTotals
from bot.store.sqlite.connection import fetch_all

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
# The day on which the one after the newest so many was used, and how many of these came later.
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


def count_used_before(database: sqlite3.Connection, until: float | None) -> int:
    """How many sessions were last used before a time; None for all."""
    ((number, _),) = fetch_all(database, SUMS_USED_BEFORE, _day_values(until))
    return int(number)


def totals_used_before(
    database: sqlite3.Connection, until: float | None, skipped: int
) -> SessionTotals:
    """What the sessions come to that were last used before a time, but for the newest so many."""
    until, skipped = resolve_offset(database, until, skipped)
    of_day = _day_values(until)
    ((number, size),) = fetch_all(database, SUMS_USED_BEFORE, of_day)
    if number <= skipped:
        return SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)
    at = {"until": of_day["until"], "skipped": skipped}
    ((oldest, newest),) = fetch_all(database, OLDEST_AND_NEWEST, at)
    ((left_out,),) = fetch_all(database, SIZE_OF_NEWEST, at)
    return SessionTotals(count=number - skipped, size=size - left_out, oldest=oldest, newest=newest)


def resolve_offset(
    database: sqlite3.Connection, until: float | None, skipped: int
) -> tuple[float | None, int]:
    """The same place among all sessions, newest used first, with fewer to be skipped: so many of
    those that were last used before a time. Where it is behind them all it stays as it is."""
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
    """The day that a time falls on, when it begins, and the time."""
    day = _FAR_FUTURE_DAY if until is None else int(until // _DAY_SECONDS)
    begin = day * _DAY_SECONDS
    return {"day": day, "begin": begin, "until": begin if until is None else until}
