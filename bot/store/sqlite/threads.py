"""Queries and updates threads, their participants, and reply parts."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence

from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import Delivery, ReplyPart, Turn
from bot.errors import StoreError
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

log = logging.getLogger(__name__)

THREAD_ID = "SELECT id FROM threads WHERE team = ? AND channel = ? AND root_ts = ?"

_INSERT_THREAD = """
    INSERT INTO threads (team, channel, root_ts, people_known, known_since)
    VALUES (?, ?, ?, ?, ?) RETURNING id
"""
_PRIOR_MESSAGE = """
    SELECT 1 FROM events
    WHERE team = ? AND channel = ? AND root_ts = ? AND event_id <> ? LIMIT 1
"""
_INSERT_PARTICIPANT = (
    "INSERT INTO thread_people (thread, user) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
_LIST_PARTICIPANTS = "SELECT user FROM thread_people WHERE thread = ?"
_SELECT_THREAD = """
    SELECT t.people_known, p.user
    FROM threads t LEFT JOIN thread_people p ON p.thread = t.id
    WHERE t.team = ? AND t.channel = ? AND t.root_ts = ?
"""
# The epoch: a process that was frozen must not move the parts of a turn that another one claimed.
_SAVE_PART = """
    INSERT INTO parts (turn, number, ts, delivery, closed)
    SELECT id, ?, ?, ?, ? FROM turns WHERE id = ? AND epoch = ?
    ON CONFLICT (turn, number) DO UPDATE
    SET ts = excluded.ts, delivery = excluded.delivery, closed = excluded.closed
    RETURNING turn
"""
_LIST_PARTS = "SELECT number, ts, delivery, closed FROM parts WHERE turn = ? ORDER BY number"


def thread_id(database: sqlite3.Connection, key: ThreadKey) -> int | None:
    """The row id of a known thread, or None."""
    found = fetch_all(database, THREAD_ID, _thread_values(key))
    return int(found[0][0]) if found else None


def add_thread_for_message(database: sqlite3.Connection, message: Message, now: float) -> int:
    """Record a thread at its first turn and return its row id. The message's event is already
    recorded."""
    known = message.direct
    if message.starts_thread:
        # Slack may deliver a reply before the message it replies to. Then the earlier authors
        # are looked up, as for a thread that the bot joins later.
        earlier = fetch_all(
            database, _PRIOR_MESSAGE, (*_thread_values(message.thread), message.event_id)
        )
        known = known or not list(earlier)
    values = (*_thread_values(message.thread), known, now)
    ((number,),) = fetch_all(database, _INSERT_THREAD, values)
    return int(number)


def insert_participants(database: sqlite3.Connection, thread: int, users: Iterable[str]) -> None:
    """Add participants to a thread."""
    for user in sorted(users):
        fetch_all(database, _INSERT_PARTICIPANT, (thread, user))


def participants_of(database: sqlite3.Connection, thread: int) -> frozenset[str]:
    """The participants of a thread."""
    return frozenset(row[0] for row in fetch_all(database, _LIST_PARTICIPANTS, (thread,)))


class ThreadQueries(Queries):
    """Queries for threads: `bot.ports.ThreadStore` without what needs its messages."""

    @read
    def thread_by_key(self, database: sqlite3.Connection, key: ThreadKey) -> Thread | None:
        found = fetch_all(database, _SELECT_THREAD, _thread_values(key))
        if not found:
            return None
        return Thread(
            key=key,
            participants=frozenset(row[1] for row in found if row[1] is not None),
            participants_known=bool(found[0][0]),
        )

    @write
    def add_thread(
        self, database: sqlite3.Connection, key: ThreadKey, users: frozenset[str]
    ) -> None:
        if thread_id(database, key) is None:
            ((number,),) = fetch_all(
                database, _INSERT_THREAD, (*_thread_values(key), True, self._clock.now())
            )
            insert_participants(database, number, users)

    @write
    def add_participants(
        self, database: sqlite3.Connection, key: ThreadKey, users: frozenset[str]
    ) -> None:
        thread = require_thread_id(database, key)
        insert_participants(database, thread, users)
        fetch_all(database, "UPDATE threads SET people_known = 1 WHERE id = ?", (thread,))

    async def save_part(self, turn: Turn, part: ReplyPart) -> None:
        self._telemetry.record_reply_posted(turn)
        await self._save_part(turn, part)

    @write
    def _save_part(self, database: sqlite3.Connection, turn: Turn, part: ReplyPart) -> None:
        values = (part.number, part.ts, part.delivery, part.closed, turn.id, turn.epoch)
        if not fetch_all(database, _SAVE_PART, values):
            log.warning(
                "part not saved: turn=%d part=%d reason=claimed again", turn.id, part.number
            )

    @read
    def reply_parts(self, database: sqlite3.Connection, turn: Turn) -> Sequence[ReplyPart]:
        return tuple(
            ReplyPart(number=number, ts=ts, delivery=Delivery(delivery), closed=bool(closed))
            for number, ts, delivery, closed in fetch_all(database, _LIST_PARTS, (turn.id,))
        )


def require_thread_id(database: sqlite3.Connection, key: ThreadKey) -> int:
    """The row id of a thread. Raises `StoreError` if it is not known."""
    thread = thread_id(database, key)
    if thread is None:
        raise StoreError(f"thread {key} is not on record")
    return thread


def _thread_values(key: ThreadKey) -> tuple[str, str, str]:
    return key.team, key.channel, key.root_ts
