"""What is said to the database about hearing: until when, and in which threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from bot.domain.messages import ThreadKey
from bot.ports import Heard
from bot.store.sqlite.connection import rows
from bot.store.sqlite.side import Side

_HEARD: Final = "SELECT since, until FROM hearing"
_NOTE: Final = """
    INSERT INTO hearing (id, since, until) VALUES (0, ?, ?)
    ON CONFLICT (id) DO UPDATE SET since = min(since, excluded.until), until = excluded.until
"""
# By name: the planner would rather go through all that was ever heard than sort what was of late.
THREADS_HEARD: Final = """
    SELECT e.team, e.channel, e.root_ts
    FROM events e INDEXED BY events_by_time
    JOIN threads t ON t.team = e.team AND t.channel = e.channel AND t.root_ts = e.root_ts
    WHERE e.team = ? AND e.heard >= ?
    GROUP BY e.team, e.channel, e.root_ts
    ORDER BY max(e.heard) DESC LIMIT ?
"""


class HearingSide(Side):
    """`bot.ports.HearingStore`."""

    async def heard(self) -> Heard | None:
        return await self._read(_heard)

    async def note_heard(self, until: float) -> None:
        await self._writer.do(partial(_note_heard, until=until))

    async def threads_heard(self, team: str, since: float, most: int) -> Sequence[ThreadKey]:
        return await self._read(partial(_threads_heard, team=team, since=since, most=most))


def _heard(database: sqlite3.Connection) -> Heard | None:
    found = rows(database, _HEARD)
    return Heard(since=found[0][0], until=found[0][1]) if found else None


def _note_heard(database: sqlite3.Connection, until: float) -> None:
    rows(database, _NOTE, (until, until))


def _threads_heard(
    database: sqlite3.Connection, team: str, since: float, most: int
) -> Sequence[ThreadKey]:
    return tuple(
        ThreadKey(team=found, channel=channel, root_ts=root_ts)
        for found, channel, root_ts in rows(database, THREADS_HEARD, (team, since, most))
    )
