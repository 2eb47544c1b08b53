"""What is said to the database about what asking a session cost: its sums."""

from __future__ import annotations

import sqlite3
from typing import Final

from bot.domain.messages import Spent
from bot.store.sqlite.connection import rows
from bot.store.sqlite.turn_rows import spent_values

# A session that was asked, whatever came of it, was used.
_ADD_UP: Final = """
    UPDATE sessions
    SET used = :now,
        last_model = CASE WHEN :model <> '' THEN :model ELSE last_model END,
        input_tokens = input_tokens + :input_tokens,
        output_tokens = output_tokens + :output_tokens,
        context_tokens = CASE WHEN :context_tokens > 0 THEN :context_tokens
                              ELSE context_tokens END,
        context_limit = CASE WHEN :context_limit > 0 THEN :context_limit ELSE context_limit END
    WHERE number = :session
    RETURNING number
"""
_TAKE_BACK: Final = """
    UPDATE sessions
    SET input_tokens = input_tokens - ?, output_tokens = output_tokens - ?
    WHERE number = ?
"""


def add_up(database: sqlite3.Connection, session: int, spent: Spent, now: float) -> bool:
    """Add what was spent to a session's sums; False where there is no such session."""
    return bool(rows(database, _ADD_UP, {**spent_values(spent), "session": session, "now": now}))


def take_back(
    database: sqlite3.Connection, session: int, input_tokens: int, output_tokens: int
) -> None:
    """Take off a session's sums what was added for something that is asked again."""
    rows(database, _TAKE_BACK, (input_tokens, output_tokens, session))
