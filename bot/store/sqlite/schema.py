"""The shape of the database, and how an older one becomes the present one.

    events         every message ever heard, once: what makes a repeat a repeat
    threads        the threads that are known, and how many sessions each was given an id for
    thread_people  who takes part in them
    turns          the accepted messages on their way to their one visible outcome, and its cost
    queue          how many turns wait in all
    parts          where the Slack messages of each reply stand
    sessions       the sessions of threads, current ones and those set aside
    days           how many of them were last used on which day
    remembered     which turns each session remembers, in the order in which it was asked
    asides         that side questions were asked, which are no turns
    choices        what people chose
    comparisons    what came of the turns that compare models; with it
    candidates       the answers, and
    votes            who voted for which
    orders         what the bot was told to do, until it is done
    holds          which threads wait for which of them
    audit          what admins did; append only, chained (`bot.store.sqlite.audit`)

Each migration has a number, is one transaction, and leaves its number in `PRAGMA user_version`.
A migration that has once been released is never changed; what comes later gets the next number.
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
    """Bring a database up to date, one transaction per step, so that a step happens whole or not.

    Raises `SchemaTooNew`, and what the driver raises.
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
