"""Defines schema 1: messages, turns in their order, threads, and reply parts."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

V1: Final = Migration(
    number=1,
    purpose="messages recorded once, turns in order, threads with participants, parts of replies",
    statements=(
        # The texts of overheard messages are not kept: they were not meant for the bot.
        """
        CREATE TABLE events (
            event_id TEXT NOT NULL PRIMARY KEY,
            team TEXT NOT NULL,
            channel TEXT NOT NULL,
            ts TEXT NOT NULL,
            root_ts TEXT NOT NULL,
            user TEXT NOT NULL,
            heard REAL NOT NULL,  -- seconds since the epoch, like every time in this schema
            UNIQUE (team, channel, ts)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX events_by_thread ON events (team, channel, root_ts)",
        """
        CREATE TABLE threads (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            team TEXT NOT NULL,
            channel TEXT NOT NULL,
            root_ts TEXT NOT NULL,
            generation INTEGER NOT NULL DEFAULT 0,
            people_known INTEGER NOT NULL,
            known_since REAL NOT NULL,
            UNIQUE (team, channel, root_ts)
        ) STRICT
        """,
        """
        CREATE TABLE thread_people (
            thread INTEGER NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            user TEXT NOT NULL,
            PRIMARY KEY (thread, user)
        ) STRICT, WITHOUT ROWID
        """,
        # AUTOINCREMENT: an id is never used again, also after a cleanup.
        """
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            thread INTEGER NOT NULL REFERENCES threads (id),
            event_id TEXT NOT NULL,
            ts TEXT NOT NULL,
            position INTEGER NOT NULL,  -- ts in microseconds: the order within a thread
            user TEXT NOT NULL,
            user_team TEXT NOT NULL,
            text TEXT NOT NULL,
            trigger TEXT NOT NULL,
            external INTEGER NOT NULL,
            direct INTEGER NOT NULL,
            state TEXT NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 0,
            waited INTEGER NOT NULL DEFAULT 0,
            outcome TEXT,  -- the state that it ends in, with the answer and the note; on record
            answer TEXT,   -- before the last of them is posted
            note TEXT,
            accepted REAL NOT NULL,
            started REAL,   -- its latest claim
            prompted REAL,  -- when the prompt of that claim was about to be sent
            ended REAL,
            UNIQUE (thread, ts)
        ) STRICT
        """,
        # Partial: they hold the few open turns only, so that a claim costs the same with a
        # million old turns (measured: 3 µs with them, 134 ms without).
        "CREATE INDEX turns_waiting ON turns (id) WHERE state = 'waiting'",
        "CREATE INDEX turns_waiting_in_thread ON turns (thread, position) WHERE state = 'waiting'",
        "CREATE INDEX turns_running_of_user ON turns (user) WHERE state = 'running'",
        # Unique: the database refuses a second running turn of a thread.
        "CREATE UNIQUE INDEX turns_running ON turns (thread) WHERE state = 'running'",
        # The number of waiting turns. Counting them for each message would make a long queue slow
        # down the very burst that made it long.
        "CREATE TABLE queue (waiting INTEGER NOT NULL) STRICT",
        "INSERT INTO queue VALUES (0)",
        """
        CREATE TRIGGER queue_longer AFTER INSERT ON turns WHEN new.state = 'waiting'
        BEGIN UPDATE queue SET waiting = waiting + 1; END
        """,
        """
        CREATE TRIGGER queue_moved AFTER UPDATE OF state ON turns
        BEGIN
            UPDATE queue
            SET waiting = waiting + (new.state = 'waiting') - (old.state = 'waiting');
        END
        """,
        """
        CREATE TRIGGER queue_shorter AFTER DELETE ON turns WHEN old.state = 'waiting'
        BEGIN UPDATE queue SET waiting = waiting - 1; END
        """,
        """
        CREATE TABLE parts (
            turn INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            ts TEXT NOT NULL,
            delivery TEXT NOT NULL,
            closed INTEGER NOT NULL,
            PRIMARY KEY (turn, number)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)
