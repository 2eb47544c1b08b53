"""Converts sessions from rows, and adds usage to their sums."""

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
"""Maximum number of characters of a title made from a message."""

SESSION_COLUMNS: Final = """
    SELECT s.number, s.id, h.team, h.channel, h.root_ts, s.role, s.current, s.owner, s.title,
           s.origin, s.model, s.last_model, s.effort, s.seen_ts, s.turns,
           s.input_tokens, s.output_tokens, s.context_tokens,
           s.context_limit, s.size, s.created, s.used
"""
# CROSS JOIN: the thread is looked up for each session found, never the other way round.
SELECT_SESSION: Final = f"{SESSION_COLUMNS} FROM sessions s CROSS JOIN threads h ON h.id = s.thread"
SESSION_BY_NUMBER: Final = f"{SELECT_SESSION} WHERE s.number = ?"


def read_sessions(
    database: sqlite3.Connection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> tuple[SessionRecord, ...]:
    """The sessions found by a query that begins with `SESSION_COLUMNS` or `SELECT_SESSION`."""
    return tuple(_session(row) for row in fetch_all(database, query, values))


def session_by_number(database: sqlite3.Connection, number: int) -> SessionRecord | None:
    """The session with a number, or None."""
    found = read_sessions(database, SESSION_BY_NUMBER, (number,))
    return found[0] if found else None


def require_session(database: sqlite3.Connection, number: int) -> SessionRecord:
    """The session with a number. Raises `StoreError` if there is none."""
    session = session_by_number(database, number)
    if session is None:
        raise StoreError(f"session s{number} is not on record")
    return session


def make_title(text: str) -> str:
    """A one-line title made from a message."""
    line = " ".join(strip_unstorable(text).split())
    return truncate(line, MAX_TITLE_LENGTH)


def _session(row: sqlite3.Row) -> SessionRecord:
    number, session_id, team, channel, root_ts, role, current, owner, title, origin, *rest = row
    model, last_model, effort, seen_ts, *numbers = rest
    turn_count, input_tokens, output_tokens, context, limit, size, created, used = numbers
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
        turn_count=turn_count,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        context_tokens=context,
        context_limit=limit,
        size=size,
        created_at=created,
        last_used_at=used,
    )


# A session is used by any turn, also by one that failed.
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
    """Add usage to the sums of a session. False if there is no such session."""
    return bool(
        fetch_all(database, _ADD_USAGE, {**usage_values(usage), "session": session, "now": now})
    )


def subtract_usage(
    database: sqlite3.Connection, session: int, input_tokens: int, output_tokens: int
) -> None:
    """Subtract from a session's sums the usage of an answer that is replaced."""
    fetch_all(database, _SUBTRACT_USAGE, (input_tokens, output_tokens, session))
