"""Queries and updates the holds of threads that wait for a command."""

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
"""A condition for `NOT EXISTS`: a command holds the turn; `turn` is the alias of its table."""

_INSERT_HOLD = """
    INSERT INTO holds (team, channel, root_ts, position, key, until)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_RELEASE_HOLD = "DELETE FROM holds WHERE key = ?"
# A thread does not wait for a command any more once it has gone on without it. That happens when
# the command could not start or took too long.
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
    """Hold the later turns of some threads for a recorded command."""
    place = (hold.position, key, hold.expires_at)
    for thread in hold.threads:
        fetch_all(database, _INSERT_HOLD, (thread.team, thread.channel, thread.root_ts, *place))


class ThreadHoldQueries(Queries):
    """Queries for thread holds: the other part of `bot.ports.CommandStore`."""

    @write
    def release_hold(self, database: sqlite3.Connection, key: str) -> None:
        delete_hold(database, key)

    @write
    def renew_holds(
        self, database: sqlite3.Connection, expires_at: float
    ) -> Mapping[str, ThreadHold]:
        fetch_all(database, DELETE_PASSED_HOLDS)
        fetch_all(database, "UPDATE holds SET until = ?", (expires_at,))
        held: dict[str, set[ThreadKey]] = defaultdict(set)
        positions: dict[str, int] = {}
        for key, team, channel, root_ts, position in fetch_all(database, _LIST_HOLDS):
            held[key].add(ThreadKey(team=team, channel=channel, root_ts=root_ts))
            positions[key] = position
        return {
            key: ThreadHold(
                threads=frozenset(threads), position=positions[key], expires_at=expires_at
            )
            for key, threads in held.items()
        }


def delete_hold(database: sqlite3.Connection, key: str) -> None:
    """Delete the hold of a command."""
    fetch_all(database, _RELEASE_HOLD, (key,))
