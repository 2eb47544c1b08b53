"""What is said to the database about questions asked by command, until they are messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.commands import OpenQuestion
from bot.domain.messages import storable
from bot.store.sqlite.connection import rows

MOST: Final = 400

_NOTE: Final = """
    INSERT INTO open_questions (event_id, team, channel, root_ts, user, user_team, text, shown,
                                asked)
    SELECT :event_id, :team, :channel, :root_ts, :user, :user_team, :text, :shown, :asked
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_id = :event_id)
    ON CONFLICT DO NOTHING RETURNING 1
"""
_DROP: Final = "DELETE FROM open_questions WHERE event_id = ?"
_DROP_ASKED: Final = """
    DELETE FROM open_questions
    WHERE EXISTS (SELECT 1 FROM events e WHERE e.event_id = open_questions.event_id)
"""
OPEN: Final = """
    SELECT event_id, team, channel, root_ts, user, user_team, text, shown, asked
    FROM open_questions ORDER BY asked, event_id LIMIT ?
"""


def note_question(database: sqlite3.Connection, question: OpenQuestion) -> bool:
    """Keep a question."""
    values = {
        "event_id": question.event_id,
        "team": question.team,
        "channel": question.channel,
        "root_ts": question.root_ts,
        "user": question.user,
        "user_team": question.user_team,
        "text": storable(question.text),
        "shown": storable(question.shown),
        "asked": question.asked,
    }
    return bool(rows(database, _NOTE, values))


def drop_question(database: sqlite3.Connection, event_id: str) -> None:
    """Forget a question."""
    rows(database, _DROP, (event_id,))


def open_questions(database: sqlite3.Connection) -> Sequence[OpenQuestion]:
    """What has not become a message."""
    rows(database, _DROP_ASKED)
    return tuple(_question(row) for row in rows(database, OPEN, (MOST,)))


def _question(row: sqlite3.Row) -> OpenQuestion:
    event_id, team, channel, root_ts, user, user_team, text, shown, asked = row
    return OpenQuestion(
        event_id=event_id,
        team=team,
        channel=channel,
        root_ts=root_ts,
        user=user,
        user_team=user_team,
        text=text,
        shown=shown,
        asked=asked,
    )
