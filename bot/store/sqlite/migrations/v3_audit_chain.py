"""Schema 3: an audit that can be verified, questions asked by command, and how much was heard."""

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
    # Those who were not taken and have not been told so yet.
    """
    CREATE INDEX turns_untold ON turns (accepted) WHERE state = 'refused' AND outcome IS NULL
    """,
    # The versions before told them at once, and took no note of it.
    "UPDATE turns SET outcome = 'refused' WHERE state = 'refused' AND outcome IS NULL",
)

_CHECKPOINT: Final[tuple[str, ...]] = (
    # One row: from when until when everything was heard. None where nothing ever was.
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
    # It holds all that is looked for when a gap is filled, so that the events are not read.
    "CREATE INDEX events_by_time ON events (team, heard, channel, root_ts)",
)

V3: Final = Migration(
    number=3,
    purpose="an audit that can be verified, questions asked by command, how much was heard",
    statements=(*_AUDIT, *_QUESTIONS, *_CHECKPOINT),
)
