"""Defines schema 2: several sessions per thread, their history, and the tables for admins."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

_TURNS: Final = (
    "ALTER TABLE turns ADD COLUMN wish TEXT",  # JSON; NULL: the default message options
    # The session that its usage is added to. No reference: a turn may outlive its session, whose
    # number is never used again.
    "ALTER TABLE turns ADD COLUMN session INTEGER",
    "ALTER TABLE turns ADD COLUMN model TEXT",  # NULL: no usage is recorded
    "ALTER TABLE turns ADD COLUMN input_tokens INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE turns ADD COLUMN output_tokens INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE turns ADD COLUMN seconds REAL NOT NULL DEFAULT 0",
    "ALTER TABLE turns ADD COLUMN context_tokens INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE turns ADD COLUMN context_limit INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX turns_in_thread ON turns (thread, position)",
    "CREATE INDEX turns_of_session ON turns (session) WHERE session IS NOT NULL",
    # They hold all columns that are summed, so that a month's usage does not read its texts.
    """
    CREATE INDEX turns_asked ON turns (prompted, thread, user, model, input_tokens, output_tokens)
    WHERE prompted IS NOT NULL
    """,
    """
    CREATE INDEX turns_asked_by ON turns (user, prompted, thread, model, input_tokens,
                                          output_tokens)
    WHERE prompted IS NOT NULL
    """,
)

_SESSIONS: Final = (
    # AUTOINCREMENT: users keep handles, and an old one must never name another session.
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        thread INTEGER NOT NULL REFERENCES threads (id),
        channel TEXT NOT NULL,  -- its thread's, for listing
        role TEXT NOT NULL,
        current INTEGER NOT NULL,
        owner TEXT NOT NULL,
        title TEXT NOT NULL,
        origin TEXT NOT NULL,
        model TEXT NOT NULL DEFAULT '',
        effort TEXT NOT NULL DEFAULT '',
        last_model TEXT NOT NULL DEFAULT '',
        seen_ts TEXT NOT NULL DEFAULT '',
        turns INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        context_tokens INTEGER NOT NULL DEFAULT 0,
        context_limit INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        used REAL NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX sessions_current ON sessions (thread, role) WHERE current = 1",
    "CREATE INDEX sessions_of_thread ON sessions (thread)",
    # Each has the order of the pages, the columns that are summed, and the most used filters: a
    # page and its totals read nothing else.
    "CREATE INDEX sessions_by_use ON sessions (used, number, current, origin, size)",
    "CREATE INDEX sessions_of_owner ON sessions (owner, used, number, current, origin, size)",
    "CREATE INDEX sessions_of_channel ON sessions (channel, used, number, current, origin, size)",
    "CREATE INDEX sessions_of_model ON sessions (last_model, used, number, current, origin, size)",
    """
    CREATE TABLE remembered (
        session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
        place INTEGER NOT NULL,  -- the order in which the session was asked
        turn INTEGER NOT NULL REFERENCES turns (id),
        event TEXT NOT NULL,
        seen_before TEXT NOT NULL,  -- the session's seen_ts from before this turn
        label TEXT NOT NULL DEFAULT '',  -- which answer of a comparison it gave, where it did
        PRIMARY KEY (session, place),
        UNIQUE (turn, session)
    ) STRICT, WITHOUT ROWID
    """,
)

# Schema 1 had one session per thread, and no reset. The turns of its history are not known: the
# runtime's ids of the prompts were not stored.
_COPY_FROM_V1: Final = (
    """
    INSERT INTO sessions (id, thread, channel, role, current, owner, title, origin, seen_ts,
                          turns, created, used)
    SELECT 'slack-' || h.team || '-' || h.channel || '-' || replace(h.root_ts, '.', '-')
               || CASE h.generation WHEN 0 THEN '' ELSE '-' || h.generation END,
           h.id, h.channel, '', 1, f.user,
           trim(substr(replace(replace(f.text, char(13), ' '), char(10), ' '), 1, 100)),
           'thread',
           coalesce((SELECT n.ts FROM turns n
                     WHERE n.thread = h.id AND n.state IN ('done', 'stopped')
                     ORDER BY n.position DESC LIMIT 1), ''),
           (SELECT count(*) FROM turns n WHERE n.thread = h.id AND n.state IN ('done', 'stopped')),
           h.known_since,
           (SELECT max(coalesce(n.ended, n.started, n.accepted)) FROM turns n
            WHERE n.thread = h.id)
    FROM threads h JOIN turns f ON f.id = (SELECT min(n.id) FROM turns n WHERE n.thread = h.id)
    ORDER BY h.id
    """,
    """
    UPDATE turns SET session = (SELECT s.number FROM sessions s WHERE s.thread = turns.thread)
    WHERE state <> 'waiting'
    """,
    # From this schema on it is the number of the next session id.
    """
    UPDATE threads SET generation = generation + 1 WHERE id IN (SELECT thread FROM sessions)
    """,
)

_USER_TABLES: Final = (
    # Side questions are counted; their texts are not stored.
    """
    CREATE TABLE asides (
        user TEXT NOT NULL,
        thread TEXT NOT NULL,  -- as text, for it need not be a known one; '' for none
        channel TEXT NOT NULL,  -- the thread's
        at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX asides_of_user ON asides (user, at, thread, channel)",
    "CREATE INDEX asides_by_time ON asides (at, user, thread, channel)",
    """
    CREATE TABLE choices (
        scope TEXT NOT NULL,
        holder TEXT NOT NULL,
        topic TEXT NOT NULL,
        value TEXT NOT NULL,
        by TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (scope, holder, topic)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX choices_of_topic ON choices (topic, holder)",
    """
    CREATE TABLE comparisons (
        turn INTEGER PRIMARY KEY REFERENCES turns (id),
        channel TEXT NOT NULL,
        session INTEGER NOT NULL,
        open INTEGER NOT NULL,
        revealed INTEGER NOT NULL,
        kept TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE INDEX comparisons_in_channel ON comparisons (channel)",
    """
    CREATE TABLE candidates (
        turn INTEGER NOT NULL REFERENCES comparisons (turn) ON DELETE CASCADE,
        label TEXT NOT NULL,
        session INTEGER NOT NULL,  -- 0 once that is gone
        answer TEXT NOT NULL,
        failed TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        seconds REAL NOT NULL,
        context_tokens INTEGER NOT NULL,
        context_limit INTEGER NOT NULL,
        PRIMARY KEY (turn, label)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX candidates_of_session ON candidates (session) WHERE session <> 0",
    """
    CREATE TABLE votes (
        turn INTEGER NOT NULL,
        user TEXT NOT NULL,
        label TEXT NOT NULL,
        PRIMARY KEY (turn, user),
        FOREIGN KEY (turn, label) REFERENCES candidates (turn, label) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE orders (
        key TEXT NOT NULL PRIMARY KEY,
        verb TEXT NOT NULL,
        words TEXT NOT NULL,  -- emptied once it is done
        by TEXT NOT NULL,
        form TEXT NOT NULL,
        team TEXT NOT NULL,
        channel TEXT NOT NULL,
        ts TEXT NOT NULL,
        thread TEXT,  -- as text, for it need not be a known one
        turn INTEGER,
        given REAL NOT NULL,
        finished REAL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX orders_by_message ON orders (team, channel, ts) WHERE ts <> ''",
    "CREATE INDEX orders_unfinished ON orders (given) WHERE finished IS NULL",
    "CREATE INDEX orders_in_thread ON orders (thread, given) WHERE ts <> ''",
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        by TEXT NOT NULL,
        act TEXT NOT NULL,
        target TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END
    """,
    """
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'nothing is taken off the audit'); END
    """,
    # INSERT OR REPLACE removes the old row without firing the trigger above.
    """
    CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id)
    BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END
    """,
)

V2: Final = Migration(
    number=2,
    purpose="sessions and what they remember, choices, comparisons, orders, audit, what was used",
    statements=(*_TURNS, *_SESSIONS, *_COPY_FROM_V1, *_USER_TABLES),
)
