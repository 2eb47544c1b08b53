"""What is said to the database about what Slack shows for a time: marks of a wait, and statuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.turns import Turn
from bot.store.sqlite.connection import rows
from bot.store.sqlite.turn_rows import TURN, read_turns

MOST_MARKED: Final = 200
"""Slack lets 20 be taken back in a minute: with more, the last would stand there ten minutes after
its message was answered, and tell more that is wrong than right."""

SHOW_WAITING: Final = """
    UPDATE turns SET waited = 1
    WHERE id = :id AND state = 'waiting'
      AND (waited = 1 OR (SELECT count(*) FROM turns WHERE waited = 1) < :most)
    RETURNING id
"""
_NOTE_UNMARKED: Final = "UPDATE turns SET waited = 0 WHERE id = ?"
_NOTE_STATUS_BACK: Final = "UPDATE turns SET status_left = 0 WHERE id = ?"
MARKS_LEFT: Final = f"""
    {TURN} WHERE n.waited = 1 AND n.id > ? AND n.state <> 'waiting' ORDER BY n.id LIMIT 100
"""
STATUSES_LEFT: Final = f"""
    {TURN} WHERE n.status_left = 1 AND n.id > ? ORDER BY n.id LIMIT 100
"""


def show_waiting(database: sqlite3.Connection, turn: Turn) -> bool:
    """Note that a waiting turn is shown as waiting, unless too many are."""
    return bool(rows(database, SHOW_WAITING, {"id": turn.id, "most": MOST_MARKED}))


def note_unmarked(database: sqlite3.Connection, turn: Turn) -> None:
    """Note that it is not, or no longer."""
    rows(database, _NOTE_UNMARKED, (turn.id,))


def marks_left(database: sqlite3.Connection, after: int) -> Sequence[Turn]:
    """Turns that wait no longer and may still be shown as waiting."""
    return read_turns(database, MARKS_LEFT, (after,))


def note_status_back(database: sqlite3.Connection, turn: Turn) -> None:
    """Note that a turn's thread does not show work on its account."""
    rows(database, _NOTE_STATUS_BACK, (turn.id,))


def statuses_left(database: sqlite3.Connection, after: int) -> Sequence[Turn]:
    """Turns whose threads may show work that nobody does."""
    return read_turns(database, STATUSES_LEFT, (after,))
