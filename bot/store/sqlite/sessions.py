"""What is said to the database about a thread's sessions: which is current, how they come about.

Of the sessions of one thread and role one at most is current; the database itself holds to that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain.messages import ThreadKey, storable
from bot.domain.sessions import Origin, SessionRecord
from bot.domain.turns import Turn
from bot.store.sqlite import session_history, thread_context, threads
from bot.store.sqlite.connection import rows
from bot.store.sqlite.session_rows import (
    FACTS,
    SESSION,
    read_sessions,
    recorded_session,
    session_by_number,
    title_of,
)

CURRENT: Final = f"{SESSION} WHERE s.thread = ? AND s.role = ? AND s.current = 1"
# At every message: of the thread, an index tells all that is wanted.
CURRENT_IN: Final = f"""
    {FACTS} FROM threads h CROSS JOIN sessions s ON s.thread = h.id
    WHERE h.team = ? AND h.channel = ? AND h.root_ts = ? AND s.role = ? AND s.current = 1
"""
CURRENTS: Final = f"{SESSION} WHERE s.thread = ? AND s.current = 1 ORDER BY s.role"
ASKED_BY: Final = f"""
    {FACTS} FROM turns t CROSS JOIN sessions s ON s.number = t.session AND s.thread = t.thread
    CROSS JOIN threads h ON h.id = s.thread
    WHERE t.id = ? AND t.epoch = ? AND t.state = 'running' AND s.role = ? AND s.current = 1
"""
# What was made since then was used since then.
FORKS_SINCE: Final = """
    SELECT count(*) FROM sessions
    WHERE owner = :owner AND used >= :since AND origin = 'fork' AND created >= :since
"""
BY_ID: Final = f"{SESSION} WHERE s.id = ?"

_MAKE = """
    INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, model, effort,
                          seen_ts, turns, context_tokens, context_limit, last_model, created, used)
    VALUES (:id, :thread, :channel, :role, :current, :owner, :title, :origin, :model, :effort,
            :seen_ts, :turns, :context_tokens, :context_limit,
            coalesce((SELECT last_model FROM sessions WHERE number = :source), ''), :now, :now)
    RETURNING number
"""
_NEXT_ID = "UPDATE threads SET generation = generation + 1 WHERE id = ? RETURNING generation - 1"
_SET_ASIDE = "UPDATE sessions SET current = 0 WHERE thread = ? AND role = ? AND current = 1"
_TAKE_UP = """
    UPDATE sessions SET thread = ?, channel = ?, current = 1, seen_ts = ?, used = ?,
        -- an answer of a comparison that is gone on with is a copy to be judged no more
        origin = CASE origin WHEN 'comparison' THEN 'thread' ELSE origin END
    WHERE number = ?
"""
# Whoever is asked here is the one whose sums the turn's cost goes to.
_ASKED_BY = """
    UPDATE turns SET session = ? WHERE id = ? AND epoch = ? AND state = 'running'
"""


def asked_by(database: sqlite3.Connection, turn: Turn) -> SessionRecord | None:
    """The current session, where it is on record already that the turn asks it."""
    found = read_sessions(
        database, ASKED_BY, (turn.id, turn.epoch, storable(turn.message.wish.role))
    )
    return found[0] if found else None


def session_for(database: sqlite3.Connection, turn: Turn, now: float) -> SessionRecord:
    """The session that a turn asks, made where there is none."""
    message = turn.message
    thread = threads.known_thread(database, message.thread)
    session = _current(database, thread, message.wish.role)
    if session is None:
        session = _make(
            database,
            message.thread,
            thread,
            now,
            role=storable(message.wish.role),
            owner=message.user,
            title=title_of(message.text),
        )
    rows(database, _ASKED_BY, (session.number, turn.id, turn.epoch))
    return session


def current(database: sqlite3.Connection, key: ThreadKey, role: str) -> SessionRecord | None:
    """A thread's current session of a role."""
    place = (key.team, key.channel, key.root_ts, storable(role))
    found = read_sessions(database, CURRENT_IN, place)
    return found[0] if found else None


def currents(database: sqlite3.Connection, key: ThreadKey) -> Sequence[SessionRecord]:
    """A thread's current sessions."""
    thread = threads.thread_id(database, key)
    return () if thread is None else read_sessions(database, CURRENTS, (thread,))


def session_by_id(database: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    """The session with the runtime's id."""
    found = read_sessions(database, BY_ID, (session_id,))
    return found[0] if found else None


def begin_anew(
    database: sqlite3.Connection,
    key: ThreadKey,
    role: str,
    owner: str,
    now: float,
    *,
    told: bool,
    upto: str,
) -> SessionRecord:
    """A fresh current session, told of all that was said up to now (or `upto`), or of nothing."""
    thread = threads.known_thread(database, key)
    rows(database, _SET_ASIDE, (thread, storable(role)))
    return _make(
        database,
        key,
        thread,
        now,
        role=storable(role),
        owner=owner,
        seen_ts=thread_context.said_last(database, key, now, upto) if told else "",
    )


def take_up(
    database: sqlite3.Connection, number: int, key: ThreadKey, now: float
) -> SessionRecord | None:
    """Make a session the current one of its role in a thread."""
    session = session_by_number(database, number)
    if session is None:
        return None
    thread = threads.known_thread(database, key)
    seen_ts = session.seen_ts
    if session.thread != key:
        seen_ts = session_history.told_in(database, number, thread)
    if not (session.current and session.thread == key):
        rows(database, _SET_ASIDE, (thread, session.role))
    rows(database, _TAKE_UP, (thread, key.channel, seen_ts, now, number))
    return recorded_session(database, number)


def add_session(
    database: sqlite3.Connection,
    source: SessionRecord,
    now: float,
    *,
    session_id: str,
    origin: Origin,
    key: ThreadKey,
    owner: str,
    title: str,
    model: str,
    before_turn: int,
) -> SessionRecord:
    """Put a copy of a session on record. Raises `StoreError` when there is no such session."""
    thread = threads.known_thread(database, key)
    source = recorded_session(database, source.number)
    whole = not session_history.remembers(database, source.number, before_turn)
    seen_ts = source.seen_ts
    if source.thread != key:
        seen_ts = key.root_ts
    elif not whole:
        seen_ts = session_history.seen_before(database, source.number, before_turn)
    made = _make(
        database,
        key,
        thread,
        now,
        source=source.number,
        session_id=session_id,
        role=source.role,
        current=False,
        owner=owner,
        title=storable(title) or source.title,
        origin=origin,
        model=storable(model) or source.model,
        effort=source.effort if model in ("", source.model) else "",
        seen_ts=seen_ts,
        context_tokens=source.context_tokens if whole else 0,
        context_limit=source.context_limit if whole else 0,
    )
    session_history.copy(database, source, made.number, before_turn, known=bool(session_id))
    return recorded_session(database, made.number)


def forks_since(database: sqlite3.Connection, owner: str, since: float) -> int:
    """How many forks of somebody were made since a time."""
    ((count,),) = rows(database, FORKS_SINCE, {"owner": owner, "since": since})
    return int(count)


def retitle(database: sqlite3.Connection, number: int, title: str) -> None:
    """Name a session."""
    rows(database, "UPDATE sessions SET title = ? WHERE number = ?", (storable(title), number))


def choose_model(database: sqlite3.Connection, number: int, model: str, effort: str) -> None:
    """Choose a session's model and effort."""
    values = (storable(model), storable(effort), number)
    rows(database, "UPDATE sessions SET model = ?, effort = ? WHERE number = ?", values)


def note_sizes(database: sqlite3.Connection, sizes: Mapping[str, int]) -> None:
    """Keep how many bytes sessions take, by the runtime's ids."""
    database.executemany(
        "UPDATE sessions SET size = ? WHERE id = ?",
        [(size, session_id) for session_id, size in sizes.items()],
    )


def _current(database: sqlite3.Connection, thread: int, role: str) -> SessionRecord | None:
    found = read_sessions(database, CURRENT, (thread, storable(role)))
    return found[0] if found else None


def _make(
    database: sqlite3.Connection,
    key: ThreadKey,
    thread: int,
    now: float,
    *,
    role: str,
    owner: str,
    source: int = 0,
    session_id: str = "",
    current: bool = True,
    title: str = "",
    origin: Origin = Origin.THREAD,
    model: str = "",
    effort: str = "",
    seen_ts: str = "",
    context_tokens: int = 0,
    context_limit: int = 0,
) -> SessionRecord:
    """A new session, which remembers nothing yet."""
    values: dict[str, object] = {
        "id": session_id or _next_id(database, key, thread),
        "thread": thread,
        "channel": key.channel,
        "role": role,
        "current": current,
        "owner": owner,
        "title": title,
        "origin": origin,
        "model": model,
        "effort": effort,
        "seen_ts": seen_ts,
        "turns": 0,
        "context_tokens": context_tokens,
        "context_limit": context_limit,
        "source": source,
        "now": now,
    }
    ((number,),) = rows(database, _MAKE, values)
    return recorded_session(database, number)


def _next_id(database: sqlite3.Connection, key: ThreadKey, thread: int) -> str:
    """An id that no session of the thread ever had, for the runtime may still know it."""
    while True:
        ((generation,),) = rows(database, _NEXT_ID, (thread,))
        session_id = key.session_id(generation)
        if not rows(database, "SELECT 1 FROM sessions WHERE id = ?", (session_id,)):
            return session_id
