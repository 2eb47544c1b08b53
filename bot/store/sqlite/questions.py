"""What is said to the database about questions asked by command, until they are messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.commands import PendingQuestion
from bot.domain.messages import strip_unstorable
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, write

MAX_PENDING: Final = 400

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


class PendingQuestionQueries(Queries):
    """`bot.ports.PendingQuestionStore`."""

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
            "asked": question.asked_at,
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


def _question(row: sqlite3.Row) -> PendingQuestion:
    event_id, team, channel, root_ts, user, user_team, text, shown, asked = row
    return PendingQuestion(
        event_id=event_id,
        team=team,
        channel=channel,
        root_ts=root_ts,
        user=user,
        user_team=user_team,
        text=text,
        mrkdwn=shown,
        asked_at=asked,
    )
