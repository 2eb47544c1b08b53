"""Schema 5: which threads wait for which order, so that what is written later comes later."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

V5: Final = Migration(
    number=5,
    purpose="which threads wait for which order",
    statements=(
        # A thread by its address, for it need not be a known one. Rows stand only while an order is
        # being carried out, so that a claim finds next to none.
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
