"""How a session stands in the database: its row as a fact."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain import Origin, SessionRecord
from bot.domain.messages import ThreadKey, storable
from bot.errors import StoreError
from bot.store.sqlite.connection import rows

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
