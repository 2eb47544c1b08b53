"""Defines the schema of the database and migrates an older one.

SQL names were released and stay; the code uses other terms. Table → term:

    `events`          messages, each recorded once, which is how a repeat is recognized
    `threads`         known threads, and the number of session ids each has used
    `thread_people`   participants of threads
    `turns`           turns, from the accepted message to its one result, and what they cost
    `queue`           the number of waiting turns
    `parts`           reply parts: the Slack messages of each reply
    `sessions`        sessions of threads, current and inactive
    `days`            session counts by the day of last use
    `remembered`      history: the turns that each session knows, in the order of the prompts
    `asides`          side questions, which are no turns
    `choices`         preferences
    `comparisons`     comparisons of models
    `candidates`      the answers of a comparison
    `votes`           votes for candidates
    `orders`          commands; their arguments are erased when they finish
    `holds`           thread holds: the threads that wait for a command
    `open_questions`  pending questions
    `hearing`         the checkpoint
    `audit`           the audit log; append only, chained (`bot.store.sqlite.audit`)

Some columns and values are older than their term, too: `turns.wish` holds the message options,
`turns.waited` the waiting indicator, and `turns.status_left` the status indicator.

Each migration has a number, is one transaction, and leaves its number in `PRAGMA user_version`.
A released migration is never changed; later changes get the next number.
"""

from __future__ import annotations

import sqlite3

from bot.errors import SchemaTooNew
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.migrations import Migration
from bot.store.sqlite.migrations.v1_turns import V1
from bot.store.sqlite.migrations.v2_sessions import V2
from bot.store.sqlite.migrations.v3_audit_chain import V3
from bot.store.sqlite.migrations.v4_daily_counts import V4
from bot.store.sqlite.migrations.v5_thread_holds import V5
from bot.store.sqlite.migrations.v6_indicators import V6

__all__ = ["MIGRATIONS", "Migration", "migrate"]

MIGRATIONS: tuple[Migration, ...] = (V1, V2, V3, V4, V5, V6)


def migrate(database: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Apply the missing migrations, each in a transaction of its own.

    Raises `SchemaTooNew`, and the errors of the driver.
    """
    ((present,),) = fetch_all(database, "PRAGMA user_version")
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
            if isinstance(statement, str):
                database.execute(statement)
            else:
                statement(database)
        # A pragma takes no parameters; the number is ours, and rolls back with the rest.
        database.execute(f"PRAGMA user_version = {migration.number:d}")
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise
