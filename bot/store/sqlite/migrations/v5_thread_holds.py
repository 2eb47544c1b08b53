"""Defines schema 5: the threads that wait for a command, so that later messages come later."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

V5: Final = Migration(
    number=5,
    purpose="which threads wait for which command",
    statements=(
        # By the address of the thread, which may be unknown. Rows exist only while a command runs,
        # so that a claim finds almost none.
        """
        CREATE TABLE holds (
            team TEXT NOT NULL,
            channel TEXT NOT NULL,
            root_ts TEXT NOT NULL,
            position INTEGER NOT NULL,  -- turns with a higher one wait
            key TEXT NOT NULL REFERENCES orders (key),
            until REAL NOT NULL,  -- then they go on all the same
            PRIMARY KEY (team, channel, root_ts, position, key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX holds_of_order ON holds (key)",
    ),
)
