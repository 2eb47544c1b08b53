"""What is said to the database about threads, the people in them, and the parts of replies."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence

from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import Delivery, Part, Turn
from bot.errors import StoreError
from bot.store.sqlite.connection import rows

log = logging.getLogger(__name__)

ID = "SELECT id FROM threads WHERE team = ? AND channel = ? AND root_ts = ?"

_MAKE = """
    INSERT INTO threads (team, channel, root_ts, people_known, known_since)
    VALUES (?, ?, ?, ?, ?) RETURNING id
"""
_HEARD_BEFORE = """
    SELECT 1 FROM events
    WHERE team = ? AND channel = ? AND root_ts = ? AND event_id <> ? LIMIT 1
"""
_JOIN = "INSERT INTO thread_people (thread, user) VALUES (?, ?) ON CONFLICT DO NOTHING"
_PEOPLE = "SELECT user FROM thread_people WHERE thread = ?"
_THREAD = """
    SELECT t.people_known, p.user
    FROM threads t LEFT JOIN thread_people p ON p.thread = t.id
    WHERE t.team = ? AND t.channel = ? AND t.root_ts = ?
"""
# The epoch: a process that was frozen must not move the parts of a turn that another took over.
_NOTE_PART = """
    INSERT INTO parts (turn, number, ts, delivery, closed)
    SELECT id, ?, ?, ?, ? FROM turns WHERE id = ? AND epoch = ?
    ON CONFLICT (turn, number) DO UPDATE
    SET ts = excluded.ts, delivery = excluded.delivery, closed = excluded.closed
    RETURNING turn
"""
_PARTS = "SELECT number, ts, delivery, closed FROM parts WHERE turn = ? ORDER BY number"


def thread_id(database: sqlite3.Connection, key: ThreadKey) -> int | None:
    """The database's own number of a known thread."""
    found = rows(database, ID, _address(key))
    return int(found[0][0]) if found else None


def make_known(database: sqlite3.Connection, message: Message, now: float) -> int:
    """Record the thread of its first turn; the message itself is among the events already."""
    known = message.direct
    if message.starts_thread:
        # Slack may deliver an answer to a message before the message: then somebody wrote
        # already, and who it was is found out as for a thread that is joined in its middle.
        earlier = rows(database, _HEARD_BEFORE, (*_address(message.thread), message.event_id))
        known = known or not list(earlier)
    values = (*_address(message.thread), known, now)
    ((number,),) = rows(database, _MAKE, values)
    return int(number)


def join(database: sqlite3.Connection, thread: int, people: Iterable[str]) -> None:
    """Make people part of a thread."""
    for user in sorted(people):
        rows(database, _JOIN, (thread, user))


def people_in(database: sqlite3.Connection, thread: int) -> frozenset[str]:
    """Those who take part in a thread."""
    return frozenset(row[0] for row in rows(database, _PEOPLE, (thread,)))


def read_thread(database: sqlite3.Connection, key: ThreadKey) -> Thread | None:
    """A known thread."""
    found = rows(database, _THREAD, _address(key))
    if not found:
        return None
    return Thread(
        key=key,
        people=frozenset(row[1] for row in found if row[1] is not None),
        people_known=bool(found[0][0]),
    )


def make_thread(
    database: sqlite3.Connection, key: ThreadKey, people: frozenset[str], now: float
) -> None:
    """Make a thread known that the bot began: nobody else can have written in it."""
    if thread_id(database, key) is None:
        ((number,),) = rows(database, _MAKE, (*_address(key), True, now))
        join(database, number, people)


def known_thread(database: sqlite3.Connection, key: ThreadKey) -> int:
    """The database's own number of a thread. Raises `StoreError` for one that is not known."""
    thread = thread_id(database, key)
    if thread is None:
        raise StoreError(f"thread {key} is not on record")
    return thread


def note_people(database: sqlite3.Connection, key: ThreadKey, people: frozenset[str]) -> None:
    """Add people to a thread whose earlier messages have been looked at."""
    thread = known_thread(database, key)
    join(database, thread, people)
    rows(database, "UPDATE threads SET people_known = 1 WHERE id = ?", (thread,))


def note_part(database: sqlite3.Connection, turn: Turn, part: Part) -> None:
    """Keep where a part of a reply stands."""
    values = (part.number, part.ts, part.delivery, part.closed, turn.id, turn.epoch)
    if not rows(database, _NOTE_PART, values):
        log.warning("part %d of turn %d is not kept: the turn was taken over", part.number, turn.id)


def read_parts(database: sqlite3.Connection, turn: Turn) -> Sequence[Part]:
    """The kept parts of a turn's reply, by number."""
    return tuple(
        Part(number=number, ts=ts, delivery=Delivery(delivery), closed=bool(closed))
        for number, ts, delivery, closed in rows(database, _PARTS, (turn.id,))
    )


def _address(key: ThreadKey) -> tuple[str, str, str]:
    return key.team, key.channel, key.root_ts
