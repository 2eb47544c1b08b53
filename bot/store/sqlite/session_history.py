"""Queries and updates session history: the turns a session knows, and how much of its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ts_position
from bot.domain.sessions import HistoryEntry, HistoryPage, SessionRecord
from bot.domain.turns import Turn, TurnState
from bot.store.sqlite import thread_context, thread_holds
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.session_rows import make_title, require_session, session_by_number

# For a turn with a comparison, a session has its own answer in its history.
_SELECT_ENTRY = """
    SELECT n.id, n.ts, n.user, n.text, coalesce(k.answer, n.answer), n.state,
           coalesce(k.model, n.model), r.event, n.accepted, coalesce(k.seconds, n.seconds),
           coalesce(k.input_tokens, n.input_tokens), coalesce(k.output_tokens, n.output_tokens)
    FROM remembered r CROSS JOIN turns n ON n.id = r.turn
    LEFT JOIN candidates k ON k.turn = r.turn AND k.label = r.label
"""
HISTORY_PAGE: Final = f"{_SELECT_ENTRY} WHERE r.session = ? ORDER BY r.place LIMIT ? OFFSET ?"
HISTORY_ENTRY: Final = f"{_SELECT_ENTRY} WHERE r.session = ? AND r.turn = ?"
NEXT_ENTRY: Final = (
    f"{_SELECT_ENTRY} WHERE r.session = ?1 AND r.place > "  # noqa: S608  # constants only
    "(SELECT place FROM remembered WHERE session = ?1 AND turn = ?2) ORDER BY r.place LIMIT 1"
)
ENTRY_AFTER_POSITION: Final = (
    f"{_SELECT_ENTRY} WHERE r.session = ? AND n.position > ? ORDER BY r.place LIMIT 1"
)
_SEEN_TS = """
    SELECT s.seen_ts, s.thread = n.thread
    FROM turns n JOIN sessions s ON s.number = :session
    WHERE n.id = :turn AND n.epoch = :epoch
"""
# After a restart the turn is prompted again and moves to the end of the session's history. The
# session may get the context of the first prompt again.
_APPEND_ENTRY = """
    INSERT INTO remembered (session, place, turn, event, seen_before)
    VALUES (:session, (SELECT coalesce(max(place), 0) + 1 FROM remembered WHERE session = :session),
            :turn, :event, :seen_before)
    ON CONFLICT (turn, session) DO UPDATE SET place = excluded.place, event = excluded.event
"""
_UPDATE_SESSION = """
    UPDATE sessions
    SET seen_ts = :seen_ts, used = :now, turns = turns + :new,
        title = CASE WHEN title = '' AND turns = 0 THEN :title ELSE title END
    WHERE number = :session
"""
_SET_TURN_SESSION = "UPDATE turns SET session = coalesce(session, :session) WHERE id = :turn"
_ENTRIES_FROM = """
    SELECT r.turn, r.place, r.seen_before, n.thread = s.thread
    FROM remembered r JOIN turns n ON n.id = r.turn JOIN sessions s ON s.number = r.session
    WHERE r.session = ?1
      AND r.place >= (SELECT place FROM remembered WHERE session = ?1 AND turn = ?2)
    ORDER BY r.place
"""
_COPY_ENTRIES = """
    INSERT INTO remembered (session, place, turn, event, seen_before, label)
    SELECT :to, place, turn, event, seen_before, label FROM remembered
    WHERE session = :source
      AND place < coalesce((SELECT place FROM remembered
                            WHERE session = :source AND turn = :before), 9223372036854775807)
    RETURNING 1
"""
_LAST_TURN_IN = """
    SELECT n.id FROM remembered r JOIN turns n ON n.id = r.turn
    WHERE r.session = ? AND n.thread = ? ORDER BY n.position DESC LIMIT 1
"""
COUNT_AFTER: Final = """
    SELECT count(*) FROM remembered
    WHERE session = ?1
      AND place > (SELECT place FROM remembered WHERE session = ?1 AND turn = ?2)
"""
_COUNT_ENTRIES = "SELECT count(*) FROM remembered WHERE session = ?"


class HistoryQueries(Queries):
    """Queries for the history of sessions: the third part of `bot.ports.SessionStore`."""

    @write
    def append_history(
        self, database: sqlite3.Connection, turn: Turn, session: int, event_id: str
    ) -> None:
        values: dict[str, object] = {"session": session, "turn": turn.id, "epoch": turn.epoch}
        seen = fetch_all(database, _SEEN_TS, values)
        if not seen:
            return
        ((seen_ts, same_thread),) = seen
        new = not is_in_history(database, session, turn.id)
        fetch_all(database, _APPEND_ENTRY, {**values, "event": event_id, "seen_before": seen_ts})
        if same_thread:
            seen_ts = _later_ts(seen_ts, thread_context.original_ts(database, turn.id))
        changes = {
            "seen_ts": seen_ts,
            "now": self._clock.now(),
            "new": new,
            "title": make_title(turn.message.text),
        }
        fetch_all(database, _UPDATE_SESSION, {**values, **changes})
        fetch_all(database, _SET_TURN_SESSION, values)

    async def truncate_history(
        self,
        session: int,
        turn: int,
        *,
        mark_seen: bool = False,
        seen_until: str = "",
        command_key: str = "",
    ) -> Sequence[int]:
        # The time of the call: what is posted while the write is queued is new to the session.
        now = self._clock.now()
        return await self._truncate_history(
            *(session, turn, now),
            mark_seen=mark_seen,
            seen_until=seen_until,
            command_key=command_key,
        )

    @write
    def _truncate_history(
        self,
        database: sqlite3.Connection,
        session: int,
        turn: int,
        now: float,
        *,
        mark_seen: bool,
        seen_until: str,
        command_key: str,
    ) -> Sequence[int]:
        if command_key:
            thread_holds.delete_hold(database, command_key)
        removed = fetch_all(database, _ENTRIES_FROM, (session, turn))
        if not removed:
            return ()
        first = removed[0][1]
        fetch_all(
            database, "DELETE FROM remembered WHERE session = ? AND place >= ?", (session, first)
        )
        count = "UPDATE sessions SET turns = max(0, turns - ?) WHERE number = ?"
        fetch_all(database, count, (len(removed), session))
        # Turns in other threads say nothing about what the session knows of this one.
        seen = [seen_before for _, _, seen_before, same_thread in removed if same_thread]
        if mark_seen:
            thread = require_session(database, session).thread
            seen = [thread_context.latest_ts(database, thread, now, seen_until)]
        if seen:
            fetch_all(
                database, "UPDATE sessions SET seen_ts = ? WHERE number = ?", (seen[0], session)
            )
        return tuple(int(row[0]) for row in removed)

    @write
    def clear_history(self, database: sqlite3.Connection, session: int) -> SessionRecord | None:
        fetch_all(database, "DELETE FROM remembered WHERE session = ?", (session,))
        fetch_all(
            database, "UPDATE sessions SET turns = 0, seen_ts = '' WHERE number = ?", (session,)
        )
        return session_by_number(database, session)

    @read
    def list_history(
        self, database: sqlite3.Connection, session: int, offset: int, limit: int
    ) -> HistoryPage:
        ((total,),) = fetch_all(database, _COUNT_ENTRIES, (session,))
        found = fetch_all(database, HISTORY_PAGE, (session, limit, offset))
        return HistoryPage(entries=tuple(_entry(row) for row in found), total=total)

    @read
    def history_entry(
        self, database: sqlite3.Connection, session: int, turn: int
    ) -> HistoryEntry | None:
        return _first_entry(fetch_all(database, HISTORY_ENTRY, (session, turn)))

    @read
    def next_history_entry(
        self, database: sqlite3.Connection, session: int, turn: int
    ) -> HistoryEntry | None:
        return _first_entry(fetch_all(database, NEXT_ENTRY, (session, turn)))

    @read
    def history_entry_after_position(
        self, database: sqlite3.Connection, session: int, position: int
    ) -> HistoryEntry | None:
        return _first_entry(fetch_all(database, ENTRY_AFTER_POSITION, (session, position)))

    @read
    def count_history_after(self, database: sqlite3.Connection, session: int, turn: int) -> int:
        ((count,),) = fetch_all(database, COUNT_AFTER, (session, turn))
        return int(count)


def is_in_history(database: sqlite3.Connection, session: int, turn: int) -> bool:
    """True if a turn is in a session's history."""
    query = "SELECT 1 FROM remembered WHERE turn = ? AND session = ?"
    return bool(fetch_all(database, query, (turn, session)))


def seen_ts_before(database: sqlite3.Connection, session: int, turn: int) -> str:
    """The `ts` up to which a session knew its thread before a turn of its history."""
    query = "SELECT seen_before FROM remembered WHERE turn = ? AND session = ?"
    ((seen_ts,),) = fetch_all(database, query, (turn, session))
    return str(seen_ts)


def seen_ts_in(database: sqlite3.Connection, session: int, thread: int) -> str:
    """The `ts` up to which a session from another thread knows this one: its last turn there, or
    empty."""
    last = fetch_all(database, _LAST_TURN_IN, (session, thread))
    return thread_context.original_ts(database, last[0][0]) if last else ""


def copy_history(
    database: sqlite3.Connection,
    source: SessionRecord,
    target: int,
    before_turn: int,
    *,
    include_unrecorded: bool,
) -> None:
    """Copy the history of a session, up to a turn, to a session without one. With
    `include_unrecorded` the turns without a record count, too: a copy in the runtime has them."""
    ((recorded,),) = fetch_all(database, _COUNT_ENTRIES, (source.number,))
    copied = fetch_all(
        database, _COPY_ENTRIES, {"to": target, "source": source.number, "before": before_turn}
    )
    unrecorded = max(0, source.turn_count - recorded) if include_unrecorded else 0
    turns = len(copied) + unrecorded
    fetch_all(database, "UPDATE sessions SET turns = ? WHERE number = ?", (turns, target))


def _later_ts(one: str, other: str) -> str:
    return max(one, other, key=ts_position) if one else other


def _first_entry(found: Sequence[sqlite3.Row]) -> HistoryEntry | None:
    return _entry(found[0]) if found else None


def _entry(row: sqlite3.Row) -> HistoryEntry:
    turn, ts, user, text, answer, state, model, event_id, accepted_at, *usage = row
    seconds, input_tokens, output_tokens = usage
    return HistoryEntry(
        turn=turn,
        ts=ts,
        user=user,
        text=text,
        answer=answer or "",
        state=TurnState(state),
        model=model or "",
        event_id=event_id,
        accepted_at=accepted_at,
        seconds=seconds,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
