"""The shape of the database, and how an older one becomes the present one.

    events         every message ever heard, once: what makes a repeat a repeat
    threads        the threads that have had a turn, and how often each got a fresh session
    thread_people  who takes part in them
    turns          the accepted messages on their way to their one visible outcome
    queue          how many turns wait in all
    parts          where the Slack messages of each reply stand

Each migration has a number, is one transaction, and leaves its number in `PRAGMA user_version`.
A migration that has once been released is never changed; what comes later gets the next number.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bot.errors import SchemaTooNew
from bot.store.database import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema to the next."""

    number: int
    purpose: str
    statements: tuple[str, ...]


_FIRST = Migration(
    number=1,
    purpose="messages heard once, turns in order, threads with their people, parts of replies",
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
        # AUTOINCREMENT: an id names one turn for ever, also after a cleanup.
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
        # million old turns on record (measured: 3 µs with, 134 ms without).
        "CREATE INDEX turns_waiting ON turns (id) WHERE state = 'waiting'",
        "CREATE INDEX turns_waiting_in_thread ON turns (thread, position) WHERE state = 'waiting'",
        "CREATE INDEX turns_running_of_user ON turns (user) WHERE state = 'running'",
        # Unique: the database itself would refuse a second running turn of a thread.
        "CREATE UNIQUE INDEX turns_running ON turns (thread) WHERE state = 'running'",
        # How many turns wait in all: counted anew at each message, a long queue would slow down
        # the very burst that made it long.
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

MIGRATIONS: tuple[Migration, ...] = (_FIRST,)


def migrate(database: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring a database up to date, one transaction per step, so that a step happens whole or not.

    Raises `SchemaTooNew`, and what the driver raises.
    """
    ((present,),) = rows(database, "PRAGMA user_version")
    newest = migrations[-1].number
    if present > newest:
        raise SchemaTooNew(
            f"the database has schema {present}, this Threadpilot knows schemas up to {newest}: "
            "run the newer version that wrote it, or restore a backup from before the upgrade"
        )
    for migration in migrations:
        if migration.number > present:
            _apply(database, migration)


def _apply(database: sqlite3.Connection, migration: Migration) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        for statement in migration.statements:
            database.execute(statement)
        # A pragma takes no parameters; the number is ours, and rolls back with the rest.
        database.execute(f"PRAGMA user_version = {migration.number:d}")
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise
