"""Creates databases with any number of threads, each with one turn and one session.

The bot itself would need days for a million threads. The schema is the store's own (its migrations,
with every index and trigger), and each row has the bot's values; only answers are shorter.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.domain.messages import ThreadKey
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.schema import migrate

TEAM: Final = "T0BENCH"
BEGIN: Final = 1_700_000_000
"""Start of the first thread, in seconds since the epoch."""
SPAN: Final = 365 * 86_400
"""Seconds from the first thread to the last, for any number of threads."""
CHANNELS: Final = 100
PER_PERSON: Final = 1_000
"""Maximum number of threads of one user."""
SIZE: Final = 4_096
"""Size of a session on disk, in bytes."""

_CACHE_KIB: Final = 500_000

# `i` counts from 1; `at` is when the thread began, in microseconds.
_NUMBERS: Final = """
    WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :threads),
    facts AS (
        SELECT i, i % :channels AS place, i / :per_person AS person, at,
               format('%d.%06d', at / 1000000, at % 1000000) AS ts, at / 1e6 AS began
        FROM (SELECT i, :begin * 1000000 + (i - 1) * (:span * 1000000 / :threads) AS at
              FROM numbers)
    )
"""
_ID: Final = "'slack-' || :team || '-' || printf('C%06d', place) || '-' || replace(ts, '.', '-')"
_FILL: Final = (
    """
    INSERT INTO events (event_id, team, channel, ts, root_ts, user, heard)
    SELECT format('Ev%010d', i), :team, format('C%06d', place), ts, ts, format('U%06d', person),
           began + 0.2
    FROM facts
    """,
    """
    INSERT INTO threads (id, team, channel, root_ts, generation, people_known, known_since)
    SELECT i, :team, format('C%06d', place), ts, 1, 1, began + 0.2 FROM facts
    """,
    "INSERT INTO thread_people (thread, user) SELECT i, format('U%06d', person) FROM facts",
    """
    INSERT INTO turns (id, thread, event_id, ts, position, user, user_team, text, trigger, external,
                       direct, state, epoch, outcome, answer, note, accepted, started, prompted,
                       ended, session, model, input_tokens, output_tokens, seconds, context_tokens,
                       context_limit)
    SELECT i, i, format('Ev%010d', i), ts, at, format('U%06d', person), :team,
           'What became of the plan for quarter ' || i || '?', 'mention', 0, 0, 'done', 1, 'done',
           'It was carried out in all its parts, and part ' || i || ' of it twice.', '',
           began + 0.2, began + 0.3, began + 0.4, began + 5.0, i, format('model-%d', i % 5), 1200,
           300, 4.6, 1500, 128000
    FROM facts
    """,
    """
    INSERT INTO parts (turn, number, ts, delivery, closed)
    SELECT i, 1, format('%d.%06d', at / 1000000 + 1, at % 1000000), 'stream', 1 FROM facts
    """,
    f"""
    INSERT INTO sessions (number, id, thread, channel, role, current, owner, title, origin,
                          last_model, seen_ts, turns, input_tokens, output_tokens, context_tokens,
                          context_limit, size, created, used)
    SELECT i, {_ID}, i, format('C%06d', place), '', 1, format('U%06d', person),
           'What became of the plan for quarter ' || i || '?', 'thread', format('model-%d', i % 5),
           ts, 1, 1200, 300, 1500, 128000, :size, began + 0.3, began + 5.0
    FROM facts
    """,  # noqa: S608  # constants only
    """
    INSERT INTO remembered (session, place, turn, event, seen_before)
    SELECT i, 1, i, format('event-%d', i), '' FROM facts
    """,
)
_INDEXES: Final = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyThreads:
    """A database of threads, each with one session that was used once."""

    folder: Path
    """The data folder of the database."""
    threads: int

    def key(self, number: int) -> ThreadKey:
        """The key of a thread by its number in time, counted from 1."""
        at = self._at(number)
        return ThreadKey(
            team=TEAM,
            channel=f"C{number % CHANNELS:06d}",
            root_ts=f"{at // 1_000_000}.{at % 1_000_000:06d}",
        )

    def session_id(self, number: int) -> str:
        """The runtime's id of a thread's session."""
        return self.key(number).session_id()

    def unused_since(self, sessions: int) -> float:
        """The time before which exactly so many sessions, the oldest, were last used."""
        return self._at(sessions + 1) / 1e6 + 5.0

    def _at(self, number: int) -> int:
        """Start of a thread in microseconds since the epoch."""
        return BEGIN * 1_000_000 + (number - 1) * (SPAN * 1_000_000 // self.threads)


def make_threads(folder: Path, threads: int) -> ManyThreads:
    """Create the database in a folder without one."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database)
        # A power cut may destroy the file: each run makes a new one.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("BEGIN")
        # An index that is built at the end, in its own order, takes a fraction of the time.
        indexes = database.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        values = {
            "threads": threads,
            "team": TEAM,
            "channels": CHANNELS,
            "per_person": PER_PERSON,
            "begin": BEGIN,
            "span": SPAN,
            "size": SIZE,
        }
        for statement in _FILL:
            given = {
                name: value for name, value in values.items() if f":{name}" in statement + _NUMBERS
            }
            database.execute(_with_numbers(statement), given)
        for _, made in indexes:
            database.execute(made)
        database.execute("COMMIT")
    return ManyThreads(folder=folder, threads=threads)


def _with_numbers(statement: str) -> str:
    """The statement, preceded by the table of facts that it selects from."""
    return f"{_NUMBERS} {statement}"
