"""Defines schema 4: session counts by the day of last use, so that no query counts them all."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

# Whole seconds first: an integer division is exact.
_DAY_OF: Final = "CAST({used} AS INTEGER) / 86400"
_NEW_DAY: Final = _DAY_OF.format(used="new.used")
_OLD_DAY: Final = _DAY_OF.format(used="old.used")

_ADD_TO_DAY: Final = f"""
    INSERT INTO days (day, sessions, size) VALUES ({_NEW_DAY}, 1, new.size)
    ON CONFLICT (day) DO UPDATE
    SET sessions = sessions + 1, size = size + excluded.size;
"""  # noqa: S608  # constants only
_SUBTRACT_FROM_DAY: Final = f"""
    UPDATE days SET sessions = sessions - 1, size = size - old.size WHERE day = {_OLD_DAY};
    DELETE FROM days WHERE day = {_OLD_DAY} AND sessions = 0;
"""  # noqa: S608  # constants only

V4: Final = Migration(
    number=4,
    purpose="how many sessions were last used on which day",
    statements=(
        """
        CREATE TABLE days (
            day INTEGER PRIMARY KEY,  -- since the epoch
            sessions INTEGER NOT NULL,  -- last used on it
            size INTEGER NOT NULL  -- theirs together
        ) STRICT
        """,
        f"""
        INSERT INTO days SELECT {_DAY_OF.format(used="used")}, count(*), sum(size) FROM sessions
        GROUP BY 1
        """,  # noqa: S608  # constants only
        f"CREATE TRIGGER days_added AFTER INSERT ON sessions BEGIN {_ADD_TO_DAY} END",
        f"CREATE TRIGGER days_taken AFTER DELETE ON sessions BEGIN {_SUBTRACT_FROM_DAY} END",
        f"""
        CREATE TRIGGER days_moved AFTER UPDATE OF used, size ON sessions
        WHEN {_OLD_DAY} <> {_NEW_DAY} OR old.size <> new.size
        BEGIN {_ADD_TO_DAY} {_SUBTRACT_FROM_DAY} END
        """,
    ),
)
