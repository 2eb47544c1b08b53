"""Queries what was written in a thread and what a session knows of it."""

from __future__ import annotations

import sqlite3
from typing import Final

from bot.domain.messages import ThreadKey, ts_position
from bot.domain.sessions import KnownMessages, SessionRecord
from bot.store.sqlite import commands, threads
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read

MAX_TURNS: Final = 2_000
"""Maximum number of turns of a thread that are looked at, the newest; older ones are ignored."""

LAST_MESSAGE_TS: Final = """
    SELECT ts FROM (
        SELECT ts FROM events WHERE team = :team AND channel = :channel AND root_ts = :root_ts
        UNION ALL
        SELECT ts FROM orders WHERE thread = :text AND ts <> ''
    )
    ORDER BY length(ts) DESC, ts DESC LIMIT 1
"""
# A click under a reply is recorded like a message, but is none. A session with turns knows the
# messages of its turns, or was meant to lose them. Lengths first: a `ts` is a number, and a shorter
# one is an earlier one.
UNSEEN_MESSAGES: Final = """
    SELECT 1 FROM events e
    WHERE e.team = :team AND e.channel = :channel AND e.root_ts = :root_ts
      AND (length(e.ts), e.ts) > (length(:after), :after)
      AND (length(e.ts), e.ts) < (length(:before), :before)
      AND NOT EXISTS (
          SELECT 1 FROM threads h JOIN turns n ON n.thread = h.id AND n.ts = e.ts
          WHERE h.team = e.team AND h.channel = e.channel AND h.root_ts = e.root_ts
            AND (n.trigger = 'menu'
                 OR EXISTS (SELECT 1 FROM sessions s
                            WHERE s.number = :session AND s.number = n.session AND s.turns > 0)
                 OR EXISTS (SELECT 1 FROM remembered r
                            WHERE r.turn = n.id AND r.session = :session))
      )
      AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.team = e.team AND o.channel = e.channel
                                               AND o.ts = e.ts AND o.ts <> '')
    LIMIT 1
"""
# The newest turns of a thread, with the messages of their replies. `known` says that the session
# has the turn in its history. `apart` says that its answer is not context for the session: it is of
# a comparison, or of another session of the same role.
THREAD_TURNS: Final = f"""
    SELECT newest.ts, newest.known, newest.apart, p.ts, newest.asker, newest.text
    FROM (
        SELECT n.id, n.ts, n.text, CASE n.trigger WHEN 'command' THEN n.user END AS asker,
               (:asked AND n.session IS :session)
                   OR EXISTS (SELECT 1 FROM remembered r
                              WHERE r.turn = n.id AND r.session = :session) AS known,
               coalesce(json_array_length(n.wish, '$.compare'), 0) > 0
                   OR EXISTS (SELECT 1 FROM sessions o
                              WHERE o.number = n.session AND o.number <> :session
                                AND o.role = :role) AS apart
        FROM turns n WHERE n.thread = :thread ORDER BY n.position DESC LIMIT {MAX_TURNS}
    ) newest LEFT JOIN parts p ON p.turn = newest.id
"""  # noqa: S608  # constants only
# From each retry back to the turn it retries, which is always an earlier one, so that this ends.
ORIGINAL_TS: Final = """
    WITH RECURSIVE chain (id, thread, ts, again) AS (
        SELECT id, thread, ts, json_extract(wish, '$.again') FROM turns WHERE id = ?
        UNION ALL
        SELECT n.id, n.thread, n.ts, json_extract(n.wish, '$.again')
        FROM chain c CROSS JOIN turns n ON n.id = c.again
        WHERE n.thread = c.thread AND n.id < c.id
    )
    SELECT ts FROM chain ORDER BY id LIMIT 1
"""


def latest_ts(
    database: sqlite3.Connection, key: ThreadKey, now: float, seen_until: str = ""
) -> str:
    """The present as a `ts`. It is that of the last message received in the thread if Slack's clock
    is ahead, or `seen_until` if that is given."""
    if seen_until:
        return seen_until
    present = f"{now:.6f}"
    values = {**_thread_values(key), "text": str(key)}
    received = [str(ts) for (ts,) in fetch_all(database, LAST_MESSAGE_TS, values)]
    return max(present, *received, key=ts_position)


def original_ts(database: sqlite3.Connection, turn: int) -> str:
    """The `ts` of the message that a turn answers: its own, or for a retry that of the first turn
    of the chain."""
    ((ts,),) = fetch_all(database, ORIGINAL_TS, (turn,))
    return str(ts)


class ThreadContextQueries(Queries):
    """Queries for what was written in a thread."""

    @read
    def has_unseen_messages(
        self, database: sqlite3.Connection, thread: ThreadKey, after: str, before: str, session: int
    ) -> bool:
        values = {**_thread_values(thread), "after": after, "before": before, "session": session}
        return bool(fetch_all(database, UNSEEN_MESSAGES, values))

    @read
    def known_messages(self, database: sqlite3.Connection, session: SessionRecord) -> KnownMessages:
        known = set(commands.command_ts_in(database, session.thread))
        answers: set[str] = set()
        questions: dict[str, tuple[str, str]] = {}
        values = {
            "thread": threads.thread_id(database, session.thread),
            "session": session.number,
            "asked": session.has_turns,
            "role": session.role,
        }
        for ts, is_known, apart, part, author, text in fetch_all(database, THREAD_TURNS, values):
            if is_known:
                known.add(ts)
            elif author is not None and text and not apart:
                questions[ts] = (author, text)
            if part is not None:
                (known if is_known or apart else answers).add(part)
        return KnownMessages(
            known_ts=frozenset(known),
            other_session_replies=frozenset(answers - known),
            posted_questions=questions,
        )


def _thread_values(key: ThreadKey) -> dict[str, object]:
    return {"team": key.team, "channel": key.channel, "root_ts": key.root_ts}
