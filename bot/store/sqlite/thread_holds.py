"""What is said to the database about threads that wait for an order."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from bot.domain.commands import Hold
from bot.domain.messages import ThreadKey
from bot.store.sqlite.connection import rows

HELD: Final = """
    SELECT 1 FROM threads h CROSS JOIN holds o
        ON o.team = h.team AND o.channel = h.channel AND o.root_ts = h.root_ts
    WHERE h.id = {turn}.thread AND o.position < {turn}.position AND o.until > :now
"""
"""For `NOT EXISTS`: whether a turn waits for an order; `turn` is what its table is called."""

_HOLD = """
    INSERT INTO holds (team, channel, root_ts, position, key, until)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_RELEASE = "DELETE FROM holds WHERE key = ?"
# A thread that has gone on without an order, because the order could not begin or took too long,
# does not wait for it any more.
GONE_ON: Final = """
    DELETE FROM holds
    WHERE EXISTS (
        SELECT 1 FROM threads h JOIN turns n ON n.thread = h.id
        WHERE h.team = holds.team AND h.channel = holds.channel AND h.root_ts = holds.root_ts
          AND n.position > holds.position AND n.state <> 'waiting' AND n.prompted IS NOT NULL
    )
"""
_LEFT = "SELECT key, team, channel, root_ts, position FROM holds"


def hold(database: sqlite3.Connection, key: str, wanted: Hold) -> None:
    """Let the later turns of some threads wait for an order that is on record."""
    place = (wanted.position, key, wanted.until)
    for thread in wanted.threads:
        rows(database, _HOLD, (thread.team, thread.channel, thread.root_ts, *place))


def release(database: sqlite3.Connection, key: str) -> None:
    """No turn waits for an order any more."""
    rows(database, _RELEASE, (key,))


def renew(database: sqlite3.Connection, until: float) -> Mapping[str, Hold]:
    """For the start: those orders for which turns wait still, which they do until then."""
    rows(database, GONE_ON)
    rows(database, "UPDATE holds SET until = ?", (until,))
    threads: dict[str, set[ThreadKey]] = defaultdict(set)
    positions: dict[str, int] = {}
    for key, team, channel, root_ts, position in rows(database, _LEFT):
        threads[key].add(ThreadKey(team=team, channel=channel, root_ts=root_ts))
        positions[key] = position
    return {
        key: Hold(threads=frozenset(held), position=positions[key], until=until)
        for key, held in threads.items()
    }
