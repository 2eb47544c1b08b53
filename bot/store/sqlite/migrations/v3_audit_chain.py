"""Defines schema 3: a verifiable audit log, pending questions, and the checkpoint."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.audit import hash_all_entries
from bot.store.sqlite.migrations import Migration, Statement

_AUDIT: Final[tuple[Statement, ...]] = (
    "DROP TRIGGER audit_is_not_changed",
    "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    hash_all_entries,
    """
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END
    """,
)

_QUESTIONS: Final[tuple[str, ...]] = (
    # Questions asked by command, until each is a message in its channel.
    """
    CREATE TABLE open_questions (
        event_id TEXT PRIMARY KEY,  -- of the message that it becomes
        team TEXT NOT NULL,
        channel TEXT NOT NULL,
        root_ts TEXT NOT NULL,  -- "" for a thread of its own
        user TEXT NOT NULL,
        user_team TEXT NOT NULL,
        text TEXT NOT NULL,
        shown TEXT NOT NULL,
        asked REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # Refused turns whose authors are not notified yet.
    """
    CREATE INDEX turns_untold ON turns (accepted) WHERE state = 'refused' AND outcome IS NULL
    """,
    # Earlier versions notified them at once, and recorded nothing about it.
    "UPDATE turns SET outcome = 'refused' WHERE state = 'refused' AND outcome IS NULL",
)

_CHECKPOINT: Final[tuple[str, ...]] = (
    # One row at most: the period in which every event was received.
    """
    CREATE TABLE hearing (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        since REAL NOT NULL,
        until REAL NOT NULL
    ) STRICT
    """,
    """
    INSERT INTO hearing SELECT 0, min(heard), max(heard) FROM events HAVING count(*) > 0
    """,
    # It has all columns that a backfill searches, so that the events are not read.
    "CREATE INDEX events_by_time ON events (team, heard, channel, root_ts)",
)

V3: Final = Migration(
    number=3,
    purpose="an audit that can be verified, questions asked by command, how much was heard",
    statements=(*_AUDIT, *_QUESTIONS, *_CHECKPOINT),
)
