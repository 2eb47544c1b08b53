"""Schema 4: how many sessions were last used on which day, so that nobody has to count them."""

from __future__ import annotations

from typing import Final

from bot.store.sqlite.migrations import Migration

# The whole seconds first: a division of whole numbers is exact.
_DAY: Final = "CAST({used} AS INTEGER) / 86400"
_NEW: Final = _DAY.format(used="new.used")
_OLD: Final = _DAY.format(used="old.used")

_ADD: Final = f"""
    INSERT INTO days (day, sessions, size) VALUES ({_NEW}, 1, new.size)
    ON CONFLICT (day) DO UPDATE
    SET sessions = sessions + 1, size = size + excluded.size;
"""  # noqa: S608  # constants only
_TAKE: Final = f"""
    UPDATE days SET sessions = sessions - 1, size = size - old.size WHERE day = {_OLD};
    DELETE FROM days WHERE day = {_OLD} AND sessions = 0;
"""  # noqa: S608  # constants only

FOURTH: Final = Migration(
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
        INSERT INTO days SELECT {_DAY.format(used="used")}, count(*), sum(size) FROM sessions
        GROUP BY 1
        """,  # noqa: S608  # constants only
        f"CREATE TRIGGER days_added AFTER INSERT ON sessions BEGIN {_ADD} END",
        f"CREATE TRIGGER days_taken AFTER DELETE ON sessions BEGIN {_TAKE} END",
        f"""
        CREATE TRIGGER days_moved AFTER UPDATE OF used, size ON sessions
        WHEN {_OLD} <> {_NEW} OR old.size <> new.size
        BEGIN {_ADD} {_TAKE} END
        """,
    ),
)
