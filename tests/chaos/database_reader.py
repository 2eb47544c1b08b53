"""Reads the turns, messages and commands of a round from the bot's database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.store.sqlite.data_dir import DATABASE_NAME

_TURNS: Final = """
    SELECT n.id, h.channel, h.root_ts, n.ts, n.user, n.text, n.state,
           coalesce(n.answer, ''), coalesce(n.note, ''), coalesce(n.session, 0), n.accepted,
           coalesce(n.ended, 0), coalesce(json_extract(n.wish, '$.again'), 0)
    FROM turns n JOIN threads h ON h.id = n.thread ORDER BY n.id
"""
BUSY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """One turn in the database."""

    id: int
    channel: str
    root_ts: str
    ts: str
    user: str
    text: str
    state: str
    """A `TurnState`."""
    answer: str
    note: str
    session: int = 0
    """The session that answered; 0 for none."""
    accepted: float = 0.0
    """When it was recorded and when it ended (0.0: not yet), by the bot's clock."""
    ended: float = 0.0
    retry_of: int = 0
    """The turn that this one retries; 0 for none."""


@dataclass(frozen=True, slots=True)
class ExecutedCommand:
    """One command in the database."""

    channel: str
    thread: str
    """The `ts` of its thread's first message."""
    ts: str
    command_name: str
    given: float
    """When it was recorded, by the bot's clock."""


class DatabaseReader:
    """The database file of a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / DATABASE_NAME

    def turns(self) -> list[Row]:
        """All turns, in the order in which their messages were accepted."""
        with self._open() as database:
            found = database.execute(_TURNS).fetchall()
        return [Row(*columns) for columns in found]

    def received_messages(self) -> set[tuple[str, str]]:
        """Channel and `ts` of every message and command on record, answered or not."""
        with self._open() as database:
            events = database.execute("SELECT channel, ts FROM events").fetchall()
            commands = database.execute("SELECT channel, ts FROM orders").fetchall()
        return {(channel, ts) for channel, ts in (*events, *commands)}

    def seconds_until_received(self) -> list[float]:
        """For each message, the seconds from its `ts` until it was on record; both times are this
        machine's."""
        with self._open() as database:
            found = database.execute("SELECT heard - CAST(ts AS REAL) FROM events").fetchall()
        return [float(seconds) for (seconds,) in found]

    def ends(self) -> list[str]:
        """The authors of the turns, in the order in which the turns ended."""
        with self._open() as database:
            return [user for (user,) in database.execute("SELECT user FROM turns ORDER BY ended")]

    def executed_commands(self) -> list[ExecutedCommand]:
        """All commands that are finished."""
        with self._open() as database:
            found = database.execute(
                "SELECT channel, thread, ts, verb, given FROM orders WHERE finished IS NOT NULL"
            ).fetchall()
        return [
            ExecutedCommand(channel, str(thread).rpartition("/")[2], ts, command_name, given)
            for channel, thread, ts, command_name, given in found
        ]

    def indicators_left(self) -> list[int]:
        """The turns that do not run but may still show a waiting reaction or a status."""
        with self._open() as database:
            found = database.execute(
                "SELECT id FROM turns"
                " WHERE status_left = 1 OR (waited = 1 AND state NOT IN ('waiting', 'running'))"
            )
            return [number for (number,) in found]

    def holds_left(self) -> int:
        """Number of threads that wait for a command."""
        with self._open() as database:
            return int(database.execute("SELECT count(*) FROM holds").fetchone()[0])

    def commands_left(self) -> int:
        """Number of commands that are not finished."""
        with self._open() as database:
            found = database.execute("SELECT count(*) FROM orders WHERE finished IS NULL")
            return int(found.fetchone()[0])

    def faults(self) -> list[str]:
        """The errors of `PRAGMA integrity_check` and `PRAGMA foreign_key_check`, or no items."""
        with self._open() as database:
            found = [str(line) for (line,) in database.execute("PRAGMA integrity_check")]
            strays = database.execute("PRAGMA foreign_key_check").fetchall()
        return [line for line in found if line != "ok"] + [f"stray row: {row}" for row in strays]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the database for all other connections while inside."""
        with closing(
            sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
        ) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                database.execute("ROLLBACK")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._file.as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database:
            yield database
