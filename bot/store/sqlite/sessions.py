"""Queries and updates the sessions of a thread.

At most one session of a thread and role is current; a unique index ensures it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import Turn
from bot.store.sqlite import session_history, thread_context, threads
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.session_rows import (
    SELECT_SESSION,
    SESSION_COLUMNS,
    make_title,
    read_sessions,
    require_session,
    session_by_number,
)

CURRENT_BY_THREAD_ID: Final = (
    f"{SELECT_SESSION} WHERE s.thread = ? AND s.role = ? AND s.current = 1"
)
# Runs for every message: an index has all columns of the thread that are needed.
CURRENT_BY_THREAD_KEY: Final = f"""
    {SESSION_COLUMNS} FROM threads h CROSS JOIN sessions s ON s.thread = h.id
    WHERE h.team = ? AND h.channel = ? AND h.root_ts = ? AND s.role = ? AND s.current = 1
"""
CURRENT_SESSIONS: Final = f"{SELECT_SESSION} WHERE s.thread = ? AND s.current = 1 ORDER BY s.role"
ASSIGNED_SESSION: Final = f"""
    {SESSION_COLUMNS} FROM turns t
    CROSS JOIN sessions s ON s.number = t.session AND s.thread = t.thread
    CROSS JOIN threads h ON h.id = s.thread
    WHERE t.id = ? AND t.epoch = ? AND t.state = 'running' AND s.role = ? AND s.current = 1
"""
# A session created since a time was also used since that time, so the index on `used` helps.
FORKS_SINCE: Final = """
    SELECT count(*) FROM sessions
    WHERE owner = :owner AND used >= :since AND origin = 'fork' AND created >= :since
"""
SESSION_BY_ID: Final = f"{SELECT_SESSION} WHERE s.id = ?"

_INSERT_SESSION = """
    INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, model, effort,
                          seen_ts, turns, context_tokens, context_limit, last_model, created, used)
    VALUES (:id, :thread, :channel, :role, :current, :owner, :title, :origin, :model, :effort,
            :seen_ts, :turns, :context_tokens, :context_limit,
            coalesce((SELECT last_model FROM sessions WHERE number = :source), ''), :now, :now)
    RETURNING number
"""
_NEXT_GENERATION = (
    "UPDATE threads SET generation = generation + 1 WHERE id = ? RETURNING generation - 1"
)
_DEACTIVATE = "UPDATE sessions SET current = 0 WHERE thread = ? AND role = ? AND current = 1"
_ATTACH = """
    UPDATE sessions SET thread = ?, channel = ?, current = 1, seen_ts = ?, used = ?,
        -- a copy of a comparison becomes an ordinary session once it is kept
        origin = CASE origin WHEN 'comparison' THEN 'thread' ELSE origin END
    WHERE number = ?
"""
# The usage of the turn is added to this session.
_ASSIGN_SESSION = """
    UPDATE turns SET session = ? WHERE id = ? AND epoch = ? AND state = 'running'
"""


class SessionQueries(Queries):
    """Queries for single sessions: the first part of `bot.ports.SessionStore`."""

    async def ensure_session(self, turn: Turn) -> SessionRecord:
        return await self._assigned_session(turn) or await self._ensure_session(turn)

    @read
    def _assigned_session(self, database: sqlite3.Connection, turn: Turn) -> SessionRecord | None:
        found = read_sessions(
            database,
            ASSIGNED_SESSION,
            (turn.id, turn.epoch, strip_unstorable(turn.message.options.role)),
        )
        return found[0] if found else None

    @write
    def _ensure_session(self, database: sqlite3.Connection, turn: Turn) -> SessionRecord:
        message = turn.message
        thread = threads.require_thread_id(database, message.thread)
        session = _current_by_thread_id(database, thread, message.options.role)
        if session is None:
            session = _create_session(
                database,
                message.thread,
                thread,
                self._clock.now(),
                role=strip_unstorable(message.options.role),
                owner=message.user,
                title=make_title(message.text),
            )
        fetch_all(database, _ASSIGN_SESSION, (session.number, turn.id, turn.epoch))
        return session

    @read
    def current_session(
        self, database: sqlite3.Connection, thread: ThreadKey, role: str = ""
    ) -> SessionRecord | None:
        place = (thread.team, thread.channel, thread.root_ts, strip_unstorable(role))
        found = read_sessions(database, CURRENT_BY_THREAD_KEY, place)
        return found[0] if found else None

    @read
    def current_sessions(
        self, database: sqlite3.Connection, thread: ThreadKey
    ) -> Sequence[SessionRecord]:
        number = threads.thread_id(database, thread)
        return () if number is None else read_sessions(database, CURRENT_SESSIONS, (number,))

    @read
    def session_by_number(self, database: sqlite3.Connection, number: int) -> SessionRecord | None:
        return session_by_number(database, number)

    @read
    def session_by_id(self, database: sqlite3.Connection, session_id: str) -> SessionRecord | None:
        found = read_sessions(database, SESSION_BY_ID, (session_id,))
        return found[0] if found else None

    async def reset(
        self,
        thread: ThreadKey,
        role: str,
        owner: str,
        *,
        mark_seen: bool = True,
        seen_until: str = "",
    ) -> SessionRecord:
        # The time of the call: what is posted while the write is queued is new to the session.
        now = self._clock.now()
        return await self._reset(
            thread, role, owner, now, mark_seen=mark_seen, seen_until=seen_until
        )

    @write
    def _reset(
        self,
        database: sqlite3.Connection,
        thread: ThreadKey,
        role: str,
        owner: str,
        now: float,
        *,
        mark_seen: bool,
        seen_until: str,
    ) -> SessionRecord:
        number = threads.require_thread_id(database, thread)
        fetch_all(database, _DEACTIVATE, (number, strip_unstorable(role)))
        return _create_session(
            database,
            thread,
            number,
            now,
            role=strip_unstorable(role),
            owner=owner,
            seen_ts=thread_context.latest_ts(database, thread, now, seen_until)
            if mark_seen
            else "",
        )

    @write
    def attach(
        self, database: sqlite3.Connection, number: int, thread: ThreadKey
    ) -> SessionRecord | None:
        session = session_by_number(database, number)
        if session is None:
            return None
        thread_id = threads.require_thread_id(database, thread)
        seen_ts = session.seen_ts
        if session.thread != thread:
            seen_ts = session_history.seen_ts_in(database, number, thread_id)
        if not (session.current and session.thread == thread):
            fetch_all(database, _DEACTIVATE, (thread_id, session.role))
        values = (thread_id, thread.channel, seen_ts, self._clock.now(), number)
        fetch_all(database, _ATTACH, values)
        return require_session(database, number)

    @write
    def add_session(
        self,
        database: sqlite3.Connection,
        source: SessionRecord,
        *,
        session_id: str,
        origin: SessionOrigin,
        thread: ThreadKey,
        owner: str,
        title: str = "",
        model: str = "",
        before_turn: int = 0,
    ) -> SessionRecord:
        thread_id = threads.require_thread_id(database, thread)
        source = require_session(database, source.number)
        whole = not session_history.is_in_history(database, source.number, before_turn)
        seen_ts = source.seen_ts
        if source.thread != thread:
            seen_ts = thread.root_ts
        elif not whole:
            seen_ts = session_history.seen_ts_before(database, source.number, before_turn)
        made = _create_session(
            database,
            thread,
            thread_id,
            self._clock.now(),
            source=source.number,
            session_id=session_id,
            role=source.role,
            current=False,
            owner=owner,
            title=strip_unstorable(title) or source.title,
            origin=origin,
            model=strip_unstorable(model) or source.model,
            effort=source.effort if model in ("", source.model) else "",
            seen_ts=seen_ts,
            context_tokens=source.context_tokens if whole else 0,
            context_limit=source.context_limit if whole else 0,
        )
        session_history.copy_history(
            database, source, made.number, before_turn, include_unrecorded=bool(session_id)
        )
        return require_session(database, made.number)

    @read
    def count_forks_since(self, database: sqlite3.Connection, owner: str, since: float) -> int:
        ((count,),) = fetch_all(database, FORKS_SINCE, {"owner": owner, "since": since})
        return int(count)

    @write
    def rename_session(self, database: sqlite3.Connection, session: int, title: str) -> None:
        fetch_all(
            database,
            "UPDATE sessions SET title = ? WHERE number = ?",
            (strip_unstorable(title), session),
        )

    @write
    def set_model(
        self, database: sqlite3.Connection, session: int, model: str, effort: str
    ) -> None:
        values = (strip_unstorable(model), strip_unstorable(effort), session)
        fetch_all(database, "UPDATE sessions SET model = ?, effort = ? WHERE number = ?", values)


def _current_by_thread_id(
    database: sqlite3.Connection, thread: int, role: str
) -> SessionRecord | None:
    found = read_sessions(database, CURRENT_BY_THREAD_ID, (thread, strip_unstorable(role)))
    return found[0] if found else None


def _create_session(
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
    origin: SessionOrigin = SessionOrigin.THREAD,
    model: str = "",
    effort: str = "",
    seen_ts: str = "",
    context_tokens: int = 0,
    context_limit: int = 0,
) -> SessionRecord:
    """A new session with an empty history."""
    values: dict[str, object] = {
        "id": session_id or _next_session_id(database, key, thread),
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
    ((number,),) = fetch_all(database, _INSERT_SESSION, values)
    return require_session(database, number)


def _next_session_id(database: sqlite3.Connection, key: ThreadKey, thread: int) -> str:
    """An id that no session of the thread ever had, because the runtime may still know it."""
    while True:
        ((generation,),) = fetch_all(database, _NEXT_GENERATION, (thread,))
        session_id = key.session_id(generation)
        if not fetch_all(database, "SELECT 1 FROM sessions WHERE id = ?", (session_id,)):
            return session_id
