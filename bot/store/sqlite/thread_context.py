"""What is said to the database about what was said in a thread, and what of it a session need not
be told."""

from __future__ import annotations

import sqlite3
from typing import Final

from bot.domain.messages import ThreadKey, ts_position
from bot.domain.sessions import KnownMessages, SessionRecord
from bot.store.sqlite import commands, threads
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read

MAX_TURNS: Final = 2_000
"""So many of a thread's turns are looked at, the newest; what is older is out of sight."""

LAST_MESSAGE_TS: Final = """
    SELECT ts FROM (
        SELECT ts FROM events WHERE team = :team AND channel = :channel AND root_ts = :root_ts
        UNION ALL
        SELECT ts FROM orders WHERE thread = :text AND ts <> ''
    )
    ORDER BY length(ts) DESC, ts DESC LIMIT 1
"""
# A press under a reply is on record like a message, but nobody wrote it; and a session that was
# ever asked knows its turns, or is meant to have forgotten them. Lengths first: a `ts` is a number,
# and a shorter one is an earlier one.
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
# The newest turns of a thread, whether a session knows each, whether the answer is none of its
# business (a comparison's, or of a session that stood or stands in its place), and the messages of
# its reply.
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
# Back along what each turn was to answer anew; always to an earlier one, so that it ends.
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
    """The present as a `ts`, or the last message that was heard in the thread, where Slack's clock
    is ahead of this machine's; `upto` itself where that is given."""
    if seen_until:
        return seen_until
    present = f"{now:.6f}"
    values = {**_thread_values(key), "text": str(key)}
    heard = [str(ts) for (ts,) in fetch_all(database, LAST_MESSAGE_TS, values)]
    return max(present, *heard, key=ts_position)


def original_ts(database: sqlite3.Connection, turn: int) -> str:
    """The `ts` of the message that a turn which is on record answers, however often anew: its own,
    or that of the first of those that were to be answered anew."""
    ((ts,),) = fetch_all(database, ORIGINAL_TS, (turn,))
    return str(ts)


class ThreadContextQueries(Queries):
    """What was written in a thread, and what a session knows of it."""

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
        for ts, knows, apart, part, asker, text in fetch_all(database, THREAD_TURNS, values):
            if knows:
                known.add(ts)
            elif asker is not None and text and not apart:
                questions[ts] = (asker, text)
            if part is not None:
                (known if knows or apart else answers).add(part)
        return KnownMessages(
            known_ts=frozenset(known),
            other_session_replies=frozenset(answers - known),
            posted_questions=questions,
        )


def _thread_values(key: ThreadKey) -> dict[str, object]:
    return {"team": key.team, "channel": key.channel, "root_ts": key.root_ts}
