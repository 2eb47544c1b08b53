"""What is said to the database about hearing: until when, and in which threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from bot.domain.messages import ThreadKey
from bot.ports import Checkpoint
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.side import Side

_LOAD_CHECKPOINT: Final = "SELECT since, until FROM hearing"
_SAVE_CHECKPOINT: Final = """
    INSERT INTO hearing (id, since, until) VALUES (0, ?, ?)
    ON CONFLICT (id) DO UPDATE SET since = min(since, excluded.until), until = excluded.until
"""
# By name: the planner would rather go through all that was ever heard than sort what was of late.
ACTIVE_THREADS: Final = """
    SELECT e.team, e.channel, e.root_ts
    FROM events e INDEXED BY events_by_time
    JOIN threads t ON t.team = e.team AND t.channel = e.channel AND t.root_ts = e.root_ts
    WHERE e.team = ? AND e.heard >= ?
    GROUP BY e.team, e.channel, e.root_ts
    ORDER BY max(e.heard) DESC LIMIT ?
"""


class HearingSide(Side):
    """`bot.ports.CheckpointStore`."""

    async def load_checkpoint(self) -> Checkpoint | None:
        return await self._read(load_checkpoint)

    async def save_checkpoint(self, until: float) -> None:
        await self._writer.submit(partial(save_checkpoint, until=until))

    async def active_threads(
        self, team: str, since: float, max_threads: int
    ) -> Sequence[ThreadKey]:
        return await self._read(
            partial(active_threads, team=team, since=since, max_threads=max_threads)
        )


def load_checkpoint(database: sqlite3.Connection) -> Checkpoint | None:
    found = fetch_all(database, _LOAD_CHECKPOINT)
    return Checkpoint(since=found[0][0], until=found[0][1]) if found else None


def save_checkpoint(database: sqlite3.Connection, until: float) -> None:
    fetch_all(database, _SAVE_CHECKPOINT, (until, until))


def active_threads(
    database: sqlite3.Connection, team: str, since: float, max_threads: int
) -> Sequence[ThreadKey]:
    return tuple(
        ThreadKey(team=found, channel=channel, root_ts=root_ts)
        for found, channel, root_ts in fetch_all(
            database, ACTIVE_THREADS, (team, since, max_threads)
        )
    )
