"""Queries and updates the event checkpoint and the recently active threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey
from bot.ports import Checkpoint
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

_LOAD_CHECKPOINT: Final = "SELECT since, until FROM hearing"
_SAVE_CHECKPOINT: Final = """
    INSERT INTO hearing (id, since, until) VALUES (0, ?, ?)
    ON CONFLICT (id) DO UPDATE SET since = min(since, excluded.until), until = excluded.until
"""
# By index name: the planner would rather scan all events than sort the recent ones.
ACTIVE_THREADS: Final = """
    SELECT e.team, e.channel, e.root_ts
    FROM events e INDEXED BY events_by_time
    JOIN threads t ON t.team = e.team AND t.channel = e.channel AND t.root_ts = e.root_ts
    WHERE e.team = ? AND e.heard >= ?
    GROUP BY e.team, e.channel, e.root_ts
    ORDER BY max(e.heard) DESC LIMIT ?
"""


class CheckpointQueries(Queries):
    """Queries for the event checkpoint: `bot.ports.CheckpointStore`."""

    @read
    def load_checkpoint(self, database: sqlite3.Connection) -> Checkpoint | None:
        found = fetch_all(database, _LOAD_CHECKPOINT)
        return Checkpoint(since=found[0][0], until=found[0][1]) if found else None

    @write
    def save_checkpoint(self, database: sqlite3.Connection, until: float) -> None:
        fetch_all(database, _SAVE_CHECKPOINT, (until, until))

    @read
    def active_threads(
        self, database: sqlite3.Connection, team: str, since: float, max_threads: int
    ) -> Sequence[ThreadKey]:
        return tuple(
            ThreadKey(team=found, channel=channel, root_ts=root_ts)
            for found, channel, root_ts in fetch_all(
                database, ACTIVE_THREADS, (team, since, max_threads)
            )
        )
