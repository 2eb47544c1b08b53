"""How a session stands in the database: its row as a fact."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.text import truncate
from bot.domain.usage import TokenUsage
from bot.errors import StoreError
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.turn_rows import usage_values

MAX_TITLE_LENGTH: Final = 100
"""Characters of a title that was made from a message."""

SESSION_COLUMNS: Final = """
    SELECT s.number, s.id, h.team, h.channel, h.root_ts, s.role, s.current, s.owner, s.title,
           s.origin, s.model, s.last_model, s.effort, s.seen_ts, s.turns,
           s.input_tokens, s.output_tokens, s.context_tokens,
           s.context_limit, s.size, s.created, s.used
"""
# The thread is looked up for each session that was found, never the other way round.
SELECT_SESSION: Final = f"{SESSION_COLUMNS} FROM sessions s CROSS JOIN threads h ON h.id = s.thread"
SESSION_BY_NUMBER: Final = f"{SELECT_SESSION} WHERE s.number = ?"


def read_sessions(
    database: sqlite3.Connection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> tuple[SessionRecord, ...]:
    """The sessions that a query which begins with `SESSION_COLUMNS` or `SELECT_SESSION` finds."""
    return tuple(_session(row) for row in fetch_all(database, query, values))


def session_by_number(database: sqlite3.Connection, number: int) -> SessionRecord | None:
    """The session with a number."""
    found = read_sessions(database, SESSION_BY_NUMBER, (number,))
    return found[0] if found else None


def require_session(database: sqlite3.Connection, number: int) -> SessionRecord:
    """The same. Raises `StoreError` where there is none."""
    session = session_by_number(database, number)
    if session is None:
        raise StoreError(f"session s{number} is not on record")
    return session


def make_title(text: str) -> str:
    """A title made of what somebody asked: one line of it."""
    line = " ".join(strip_unstorable(text).split())
    return truncate(line, MAX_TITLE_LENGTH)


def _session(row: sqlite3.Row) -> SessionRecord:
    number, session_id, team, channel, root_ts, role, current, owner, title, origin, *rest = row
    model, last_model, effort, seen_ts, *numbers = rest
    turns, taken, given, context, limit, size, created, used = numbers
    return SessionRecord(
        number=number,
        id=session_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root_ts),
        role=role,
        current=bool(current),
        owner=owner,
        title=title,
        origin=SessionOrigin(origin),
        model=model,
        last_model=last_model,
        effort=effort,
        seen_ts=seen_ts,
        turn_count=turns,
        input_tokens=taken,
        output_tokens=given,
        context_tokens=context,
        context_limit=limit,
        size=size,
        created_at=created,
        last_used_at=used,
    )


# A session that was asked, whatever came of it, was used.
_ADD_USAGE: Final = """
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


_SUBTRACT_USAGE: Final = """
    UPDATE sessions
    SET input_tokens = input_tokens - ?, output_tokens = output_tokens - ?
    WHERE number = ?
"""


def add_usage(database: sqlite3.Connection, session: int, usage: TokenUsage, now: float) -> bool:
    """Add what was spent to a session's sums; False where there is no such session."""
    return bool(
        fetch_all(database, _ADD_USAGE, {**usage_values(usage), "session": session, "now": now})
    )


def subtract_usage(
    database: sqlite3.Connection, session: int, input_tokens: int, output_tokens: int
) -> None:
    """Take off a session's sums what was added for something that is asked again."""
    fetch_all(database, _SUBTRACT_USAGE, (input_tokens, output_tokens, session))
