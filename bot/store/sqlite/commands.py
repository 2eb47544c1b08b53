"""Queries and updates commands, and the questions that commands ask.

The arguments of a command are kept only until it finishes. That it was received is kept for good,
so that a repeat is recognized.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.commands import Command, CommandSource, PendingQuestion, ThreadHold
from bot.domain.messages import Message, ThreadKey, strip_unstorable
from bot.store.sqlite import thread_holds
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

MAX_UNFINISHED: Final = 400
"""Maximum number of unfinished commands returned at a start."""
MAX_IN_THREAD: Final = 2_000
"""Maximum number of commands returned for one thread."""

# A command that was already received as a message is not recorded.
_RECEIVED_AS_MESSAGE = """
    SELECT 1 FROM events WHERE event_id = :key
    UNION ALL
    SELECT 1 FROM events WHERE :ts <> '' AND team = :team AND channel = :channel AND ts = :ts
"""
# Without a conflict target: a repeat by either key is a repeat.
_INSERT_COMMAND = """
    INSERT INTO orders (key, verb, words, by, form, team, channel, ts, thread, turn, given)
    VALUES (:key, :verb, :words, :by, :form, :team, :channel, :ts, :thread, :turn, :now)
    ON CONFLICT DO NOTHING RETURNING 1
"""
_FINISH_COMMAND = "UPDATE orders SET finished = ?, words = '' WHERE key = ? AND finished IS NULL"
UNFINISHED_COMMANDS = """
    SELECT key, verb, words, by, form, team, channel, ts, thread, turn
    FROM orders WHERE finished IS NULL ORDER BY given, rowid LIMIT ?
"""
COMMAND_KEYS = """
    SELECT key FROM orders WHERE key = ?1
    UNION ALL
    SELECT key FROM orders WHERE ts <> '' AND team = ?2 AND channel = ?3 AND ts = ?4
"""
COMMAND_TS = """
    SELECT ts FROM orders WHERE thread = ? AND ts <> '' ORDER BY given DESC LIMIT ?
"""

MAX_PENDING: Final = 400
"""Maximum number of pending questions returned."""

_SAVE_QUESTION: Final = """
    INSERT INTO open_questions (event_id, team, channel, root_ts, user, user_team, text, shown,
                                asked)
    SELECT :event_id, :team, :channel, :root_ts, :user, :user_team, :text, :shown, :asked
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_id = :event_id)
    ON CONFLICT DO NOTHING RETURNING 1
"""
_DELETE_QUESTION: Final = "DELETE FROM open_questions WHERE event_id = ?"
_DELETE_POSTED: Final = """
    DELETE FROM open_questions
    WHERE EXISTS (SELECT 1 FROM events e WHERE e.event_id = open_questions.event_id)
"""
PENDING_QUESTIONS: Final = """
    SELECT event_id, team, channel, root_ts, user, user_team, text, shown, asked
    FROM open_questions ORDER BY asked, event_id LIMIT ?
"""


def command_ts_in(database: sqlite3.Connection, thread: ThreadKey) -> frozenset[str]:
    """The `ts` of the newest messages of a thread that were commands."""
    found = fetch_all(database, COMMAND_TS, (str(thread), MAX_IN_THREAD))
    return frozenset(str(ts) for (ts,) in found)


class CommandQueries(Queries):
    """Queries for commands: `bot.ports.CommandStore` without thread holds."""

    @write
    def accept_command(
        self, database: sqlite3.Connection, command: Command, hold: ThreadHold | None = None
    ) -> bool:
        values = {
            "key": command.key,
            "verb": strip_unstorable(command.name),
            "words": strip_unstorable(command.args),
            "by": command.user,
            "form": command.source,
            "team": command.team,
            "channel": command.channel,
            "ts": command.ts,
            "thread": None if command.thread is None else str(command.thread),
            "turn": command.turn,
            "now": self._clock.now(),
        }
        if fetch_all(database, _RECEIVED_AS_MESSAGE, values):
            return False
        if not fetch_all(database, _INSERT_COMMAND, values):
            return False
        if hold is not None:
            thread_holds.add_hold(database, command.key, hold)
        return True

    @write
    def finish_command(self, database: sqlite3.Connection, key: str) -> None:
        thread_holds.delete_hold(database, key)
        fetch_all(database, _FINISH_COMMAND, (self._clock.now(), key))

    @read
    def unfinished_commands(self, database: sqlite3.Connection) -> Sequence[Command]:
        return tuple(
            _command(row) for row in fetch_all(database, UNFINISHED_COMMANDS, (MAX_UNFINISHED,))
        )


class PendingQuestionQueries(Queries):
    """Queries for questions asked by command: `bot.ports.PendingQuestionStore`."""

    @write
    def save_question(self, database: sqlite3.Connection, question: PendingQuestion) -> bool:
        values = {
            "event_id": question.event_id,
            "team": question.team,
            "channel": question.channel,
            "root_ts": question.root_ts,
            "user": question.user,
            "user_team": question.user_team,
            "text": strip_unstorable(question.text),
            "shown": strip_unstorable(question.mrkdwn),
            "asked": question.created_at,
        }
        return bool(fetch_all(database, _SAVE_QUESTION, values))

    @write
    def delete_question(self, database: sqlite3.Connection, event_id: str) -> None:
        fetch_all(database, _DELETE_QUESTION, (event_id,))

    @write
    def pending_questions(self, database: sqlite3.Connection) -> Sequence[PendingQuestion]:
        fetch_all(database, _DELETE_POSTED)
        return tuple(
            _question(row) for row in fetch_all(database, PENDING_QUESTIONS, (MAX_PENDING,))
        )


def is_command(database: sqlite3.Connection, message: Message) -> bool:
    """True if a message is recorded as a command, and is not the question that the command
    posted."""
    thread = message.thread
    values = (message.event_id, thread.team, thread.channel, message.ts)
    found = fetch_all(database, COMMAND_KEYS, values)
    return any(message.event_id != f"order-{key}" for (key,) in found)


def _command(row: sqlite3.Row) -> Command:
    key, name, args, user, source, team, channel, ts, thread, turn = row
    return Command(
        key=key,
        name=name,
        args=args,
        user=user,
        source=CommandSource(source),
        team=team,
        channel=channel,
        ts=ts,
        thread=None if thread is None else _parse_thread_key(thread),
        turn=turn,
    )


def _parse_thread_key(text: str) -> ThreadKey:
    """The key that `str` turned into this text."""
    team, channel, root_ts = text.split("/")
    return ThreadKey(team=team, channel=channel, root_ts=root_ts)


def _question(row: sqlite3.Row) -> PendingQuestion:
    event_id, team, channel, root_ts, user, user_team, text, mrkdwn, created_at = row
    return PendingQuestion(
        event_id=event_id,
        team=team,
        channel=channel,
        root_ts=root_ts,
        user=user,
        user_team=user_team,
        text=text,
        mrkdwn=mrkdwn,
        created_at=created_at,
    )
