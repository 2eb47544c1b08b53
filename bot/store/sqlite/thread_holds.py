"""What is said to the database about threads that wait for an order."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from bot.domain.commands import ThreadHold
from bot.domain.messages import ThreadKey
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, write

HELD_BY_COMMAND: Final = """
    SELECT 1 FROM threads h CROSS JOIN holds o
        ON o.team = h.team AND o.channel = h.channel AND o.root_ts = h.root_ts
    WHERE h.id = {turn}.thread AND o.position < {turn}.position AND o.until > :now
"""
"""For `NOT EXISTS`: whether a turn waits for an order; `turn` is what its table is called."""

_INSERT_HOLD = """
    INSERT INTO holds (team, channel, root_ts, position, key, until)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_RELEASE_HOLD = "DELETE FROM holds WHERE key = ?"
# A thread that has gone on without an order, because the order could not begin or took too long,
# does not wait for it any more.
DELETE_PASSED_HOLDS: Final = """
    DELETE FROM holds
    WHERE EXISTS (
        SELECT 1 FROM threads h JOIN turns n ON n.thread = h.id
        WHERE h.team = holds.team AND h.channel = holds.channel AND h.root_ts = holds.root_ts
          AND n.position > holds.position AND n.state <> 'waiting' AND n.prompted IS NOT NULL
    )
"""
_LIST_HOLDS = "SELECT key, team, channel, root_ts, position FROM holds"


def add_hold(database: sqlite3.Connection, key: str, hold: ThreadHold) -> None:
    """Let the later turns of some threads wait for an order that is on record."""
    place = (hold.position, key, hold.expires_at)
    for thread in hold.threads:
        fetch_all(database, _INSERT_HOLD, (thread.team, thread.channel, thread.root_ts, *place))


class ThreadHoldQueries(Queries):
    """The part of `bot.ports.CommandStore` that is about thread holds."""

    @write
    def release_hold(self, database: sqlite3.Connection, key: str) -> None:
        delete_hold(database, key)

    @write
    def renew_holds(
        self, database: sqlite3.Connection, expires_at: float
    ) -> Mapping[str, ThreadHold]:
        fetch_all(database, DELETE_PASSED_HOLDS)
        fetch_all(database, "UPDATE holds SET until = ?", (expires_at,))
        threads: dict[str, set[ThreadKey]] = defaultdict(set)
        positions: dict[str, int] = {}
        for key, team, channel, root_ts, position in fetch_all(database, _LIST_HOLDS):
            threads[key].add(ThreadKey(team=team, channel=channel, root_ts=root_ts))
            positions[key] = position
        return {
            key: ThreadHold(threads=frozenset(held), position=positions[key], expires_at=expires_at)
            for key, held in threads.items()
        }


def delete_hold(database: sqlite3.Connection, key: str) -> None:
    """No turn waits for an order any more."""
    fetch_all(database, _RELEASE_HOLD, (key,))
