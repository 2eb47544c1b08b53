"""What is said to the database about what sessions remember: which turns, in which order, and up to
where each was told what was said in its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ts_position
from bot.domain.sessions import Remembered, RememberedPage, SessionRecord
from bot.domain.turns import Turn, TurnState
from bot.store.sqlite import thread_context, thread_holds
from bot.store.sqlite.connection import rows
from bot.store.sqlite.session_rows import recorded_session, session_by_number, title_of

# Of a turn that compared, a session remembers its own answer.
_REMEMBERED = """
    SELECT n.id, n.ts, n.user, n.text, coalesce(k.answer, n.answer), n.state,
           coalesce(k.model, n.model), r.event, n.accepted, coalesce(k.seconds, n.seconds),
           coalesce(k.input_tokens, n.input_tokens), coalesce(k.output_tokens, n.output_tokens)
    FROM remembered r CROSS JOIN turns n ON n.id = r.turn
    LEFT JOIN candidates k ON k.turn = r.turn AND k.label = r.label
"""
PAGE: Final = f"{_REMEMBERED} WHERE r.session = ? ORDER BY r.place LIMIT ? OFFSET ?"
ONE: Final = f"{_REMEMBERED} WHERE r.session = ? AND r.turn = ?"
AFTER: Final = (
    f"{_REMEMBERED} WHERE r.session = ?1 AND r.place > "  # noqa: S608  # constants only
    "(SELECT place FROM remembered WHERE session = ?1 AND turn = ?2) ORDER BY r.place LIMIT 1"
)
LATER: Final = f"{_REMEMBERED} WHERE r.session = ? AND n.position > ? ORDER BY r.place LIMIT 1"
_ASKED = """
    SELECT s.seen_ts, s.thread = n.thread
    FROM turns n JOIN sessions s ON s.number = :session
    WHERE n.id = :turn AND n.epoch = :epoch
"""
# Asked again after a restart it stands at the end of the session's history once more; what it was
# told the first time it may be told again.
_REMEMBER = """
    INSERT INTO remembered (session, place, turn, event, seen_before)
    VALUES (:session, (SELECT coalesce(max(place), 0) + 1 FROM remembered WHERE session = :session),
            :turn, :event, :seen_before)
    ON CONFLICT (turn, session) DO UPDATE SET place = excluded.place, event = excluded.event
"""
_COUNT_UP = """
    UPDATE sessions
    SET seen_ts = :seen_ts, used = :now, turns = turns + :new,
        title = CASE WHEN title = '' AND turns = 0 THEN :title ELSE title END
    WHERE number = :session
"""
_ASKED_BY = "UPDATE turns SET session = coalesce(session, :session) WHERE id = :turn"
_FROM = """
    SELECT r.turn, r.place, r.seen_before, n.thread = s.thread
    FROM remembered r JOIN turns n ON n.id = r.turn JOIN sessions s ON s.number = r.session
    WHERE r.session = ?1
      AND r.place >= (SELECT place FROM remembered WHERE session = ?1 AND turn = ?2)
    ORDER BY r.place
"""
_COPY = """
    INSERT INTO remembered (session, place, turn, event, seen_before, label)
    SELECT :to, place, turn, event, seen_before, label FROM remembered
    WHERE session = :source
      AND place < coalesce((SELECT place FROM remembered
                            WHERE session = :source AND turn = :before), 9223372036854775807)
    RETURNING 1
"""
_TOLD_IN = """
    SELECT n.id FROM remembered r JOIN turns n ON n.id = r.turn
    WHERE r.session = ? AND n.thread = ? ORDER BY n.position DESC LIMIT 1
"""
COUNT_AFTER: Final = """
    SELECT count(*) FROM remembered
    WHERE session = ?1
      AND place > (SELECT place FROM remembered WHERE session = ?1 AND turn = ?2)
"""
_COUNT = "SELECT count(*) FROM remembered WHERE session = ?"


def remember(
    database: sqlite3.Connection, turn: Turn, session: int, event: str, now: float
) -> None:
    """The runtime took a turn's prompt."""
    values: dict[str, object] = {"session": session, "turn": turn.id, "epoch": turn.epoch}
    asked = rows(database, _ASKED, values)
    if not asked:
        return
    ((seen_ts, same_thread),) = asked
    new = not remembers(database, session, turn.id)
    rows(database, _REMEMBER, {**values, "event": event, "seen_before": seen_ts})
    if same_thread:
        seen_ts = _later(seen_ts, thread_context.first_asked(database, turn.id))
    counted = {"seen_ts": seen_ts, "now": now, "new": new, "title": title_of(turn.message.text)}
    rows(database, _COUNT_UP, {**values, **counted})
    rows(database, _ASKED_BY, values)


def forget(
    database: sqlite3.Connection,
    session: int,
    turn: int,
    now: float,
    *,
    told: bool,
    upto: str,
    order: str,
) -> Sequence[int]:
    """Let a session forget a turn and all that it was asked later."""
    if order:
        thread_holds.release(database, order)
    forgotten = rows(database, _FROM, (session, turn))
    if not forgotten:
        return ()
    first = forgotten[0][1]
    rows(database, "DELETE FROM remembered WHERE session = ? AND place >= ?", (session, first))
    count = "UPDATE sessions SET turns = max(0, turns - ?) WHERE number = ?"
    rows(database, count, (len(forgotten), session))
    # What was said in other threads, where a session has been elsewhere, is told in none of this.
    seen = [seen_before for _, _, seen_before, same_thread in forgotten if same_thread]
    if told:
        thread = recorded_session(database, session).thread
        seen = [thread_context.said_last(database, thread, now, upto)]
    if seen:
        rows(database, "UPDATE sessions SET seen_ts = ? WHERE number = ?", (seen[0], session))
    return tuple(int(row[0]) for row in forgotten)


def lose(database: sqlite3.Connection, session: int) -> SessionRecord | None:
    """Let a session forget everything."""
    rows(database, "DELETE FROM remembered WHERE session = ?", (session,))
    rows(database, "UPDATE sessions SET turns = 0, seen_ts = '' WHERE number = ?", (session,))
    return session_by_number(database, session)


def page(database: sqlite3.Connection, session: int, offset: int, limit: int) -> RememberedPage:
    """What a session remembers, oldest first."""
    ((total,),) = rows(database, _COUNT, (session,))
    found = rows(database, PAGE, (session, limit, offset))
    return RememberedPage(turns=tuple(_remembered(row) for row in found), total=total)


def recall(database: sqlite3.Connection, session: int, turn: int) -> Remembered | None:
    """One turn that a session remembers."""
    return _first(rows(database, ONE, (session, turn)))


def recall_after(database: sqlite3.Connection, session: int, turn: int) -> Remembered | None:
    """The turn that a session was asked next after another one."""
    return _first(rows(database, AFTER, (session, turn)))


def recall_later(database: sqlite3.Connection, session: int, position: int) -> Remembered | None:
    """The first turn that a session remembers of those that were written after a position."""
    return _first(rows(database, LATER, (session, position)))


def asked_after(database: sqlite3.Connection, session: int, turn: int) -> int:
    """How many turns that a session remembers it was asked after this one."""
    ((count,),) = rows(database, COUNT_AFTER, (session, turn))
    return int(count)


def remembers(database: sqlite3.Connection, session: int, turn: int) -> bool:
    """Whether a session remembers a turn."""
    query = "SELECT 1 FROM remembered WHERE turn = ? AND session = ?"
    return bool(rows(database, query, (turn, session)))


def seen_before(database: sqlite3.Connection, session: int, turn: int) -> str:
    """Up to where a session had been told what was said before it was asked a turn, which it
    remembers."""
    query = "SELECT seen_before FROM remembered WHERE turn = ? AND session = ?"
    ((seen_ts,),) = rows(database, query, (turn, session))
    return str(seen_ts)


def told_in(database: sqlite3.Connection, session: int, thread: int) -> str:
    """Up to where a session that comes from elsewhere knows what was said in a thread: its last
    turn there, or nothing."""
    last = rows(database, _TOLD_IN, (session, thread))
    return thread_context.first_asked(database, last[0][0]) if last else ""


def copy(
    database: sqlite3.Connection, source: SessionRecord, to: int, before: int, *, known: bool
) -> None:
    """Let a session that remembers nothing remember what another does, up to a turn. Turns of
    which there is no record are copied with a session that the runtime knows."""
    ((recorded,),) = rows(database, _COUNT, (source.number,))
    copied = rows(database, _COPY, {"to": to, "source": source.number, "before": before})
    unrecorded = max(0, source.turns - recorded) if known else 0
    turns = len(copied) + unrecorded
    rows(database, "UPDATE sessions SET turns = ? WHERE number = ?", (turns, to))


def _later(one: str, other: str) -> str:
    return max(one, other, key=ts_position) if one else other


def _first(found: Sequence[sqlite3.Row]) -> Remembered | None:
    return _remembered(found[0]) if found else None


def _remembered(row: sqlite3.Row) -> Remembered:
    turn, ts, user, text, answer, state, model, event, asked, seconds, taken, given = row
    return Remembered(
        turn=turn,
        ts=ts,
        user=user,
        text=text,
        answer=answer or "",
        state=TurnState(state),
        model=model or "",
        event=event,
        asked=asked,
        seconds=seconds,
        input_tokens=taken,
        output_tokens=given,
    )
