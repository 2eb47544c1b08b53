"""How a session stands in the database: its row as a fact."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain.messages import ThreadKey, storable
from bot.domain.sessions import Origin, SessionRecord
from bot.domain.usage import Spent
from bot.errors import StoreError
from bot.store.sqlite.connection import rows
from bot.store.sqlite.turn_rows import spent_values

MOST_TITLE: Final = 100
"""Characters of a title that was made from a message."""

FACTS: Final = """
    SELECT s.number, s.id, h.team, h.channel, h.root_ts, s.role, s.current, s.owner, s.title,
           s.origin, s.model, s.last_model, s.effort, s.seen_ts, s.turns,
           s.input_tokens, s.output_tokens, s.context_tokens,
           s.context_limit, s.size, s.created, s.used
"""
# The thread is looked up for each session that was found, never the other way round.
SESSION: Final = f"{FACTS} FROM sessions s CROSS JOIN threads h ON h.id = s.thread"
BY_NUMBER: Final = f"{SESSION} WHERE s.number = ?"


def read_sessions(
    database: sqlite3.Connection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> tuple[SessionRecord, ...]:
    """The sessions that a query which begins with `FACTS` or `SESSION` finds."""
    return tuple(_session(row) for row in rows(database, query, values))


def session_by_number(database: sqlite3.Connection, number: int) -> SessionRecord | None:
    """The session with a number."""
    found = read_sessions(database, BY_NUMBER, (number,))
    return found[0] if found else None


def recorded_session(database: sqlite3.Connection, number: int) -> SessionRecord:
    """The same. Raises `StoreError` where there is none."""
    session = session_by_number(database, number)
    if session is None:
        raise StoreError(f"session s{number} is not on record")
    return session


def title_of(text: str) -> str:
    """A title made of what somebody asked: one line of it."""
    line = " ".join(storable(text).split())
    return line if len(line) <= MOST_TITLE else f"{line[: MOST_TITLE - 1].rstrip()}…"


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
        origin=Origin(origin),
        model=model,
        last_model=last_model,
        effort=effort,
        seen_ts=seen_ts,
        turns=turns,
        input_tokens=taken,
        output_tokens=given,
        context_tokens=context,
        context_limit=limit,
        size=size,
        created=created,
        used=used,
    )


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
