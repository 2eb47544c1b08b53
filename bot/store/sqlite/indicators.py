"""Queries and updates the indicators that Slack shows for a time: waiting marks and statuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.turns import Turn
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.turn_rows import SELECT_TURN, read_turns

MAX_WAITING_INDICATORS: Final = 200
"""Maximum number of messages marked as waiting. Slack allows about 20 removals a minute: with more,
the last mark would outlive its answer by ten minutes."""

ADD_WAITING_INDICATOR: Final = """
    UPDATE turns SET waited = 1
    WHERE id = :id AND state = 'waiting'
      AND (waited = 1 OR (SELECT count(*) FROM turns WHERE waited = 1) < :most)
    RETURNING id
"""
_REMOVE_WAITING_INDICATOR: Final = "UPDATE turns SET waited = 0 WHERE id = ?"
_REMOVE_STATUS_INDICATOR: Final = "UPDATE turns SET status_left = 0 WHERE id = ?"
STALE_WAITING_INDICATORS: Final = f"""
    {SELECT_TURN} WHERE n.waited = 1 AND n.id > ? AND n.state <> 'waiting' ORDER BY n.id LIMIT 100
"""
STALE_STATUS_INDICATORS: Final = f"""
    {SELECT_TURN} WHERE n.status_left = 1 AND n.id > ? ORDER BY n.id LIMIT 100
"""


class IndicatorQueries(Queries):
    """Queries for waiting and status indicators: `bot.ports.IndicatorStore`."""

    @write
    def add_waiting_indicator(self, database: sqlite3.Connection, turn: Turn) -> bool:
        return bool(
            fetch_all(
                database, ADD_WAITING_INDICATOR, {"id": turn.id, "most": MAX_WAITING_INDICATORS}
            )
        )

    @write
    def remove_waiting_indicator(self, database: sqlite3.Connection, turn: Turn) -> None:
        fetch_all(database, _REMOVE_WAITING_INDICATOR, (turn.id,))

    @read
    def stale_waiting_indicators(self, database: sqlite3.Connection, after: int) -> Sequence[Turn]:
        return read_turns(database, STALE_WAITING_INDICATORS, (after,))

    @write
    def remove_status_indicator(self, database: sqlite3.Connection, turn: Turn) -> None:
        fetch_all(database, _REMOVE_STATUS_INDICATOR, (turn.id,))

    @read
    def stale_status_indicators(self, database: sqlite3.Connection, after: int) -> Sequence[Turn]:
        return read_turns(database, STALE_STATUS_INDICATORS, (after,))
