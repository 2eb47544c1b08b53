"""What is said to the database about what people chose."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey, storable
from bot.domain.preferences import Choice, Scope, Topic
from bot.store.sqlite.connection import rows

MOST: Final = 1_000
"""Choices of one topic that are told."""

_CHOOSE = """
    INSERT INTO choices (scope, holder, topic, value, by, at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope, holder, topic) DO UPDATE
    SET value = excluded.value, by = excluded.by, at = excluded.at
"""
_UNCHOOSE = "DELETE FROM choices WHERE scope = ? AND holder = ? AND topic = ? RETURNING 1"
_CHOICE = "SELECT scope, holder, topic, value, by, at FROM choices"
FOR_HOLDER = f"{_CHOICE} WHERE scope = ? AND holder = ? ORDER BY topic"
OF_TOPIC = f"{_CHOICE} WHERE topic = ? ORDER BY holder, scope LIMIT {MOST}"
QUIET = "SELECT 1 FROM choices WHERE scope = ? AND holder = ? AND topic = ?"


def choose(database: sqlite3.Connection, choice: Choice) -> None:
    """Keep a choice, in place of an earlier one."""
    values = (choice.scope, storable(choice.holder), choice.topic)
    rows(database, _CHOOSE, (*values, storable(choice.value), choice.by, choice.at))


def unchoose(database: sqlite3.Connection, scope: Scope, holder: str, topic: Topic) -> bool:
    """Take a choice back."""
    return bool(rows(database, _UNCHOOSE, (scope, storable(holder), topic)))


def choices_for(
    database: sqlite3.Connection, holders: Sequence[tuple[Scope, str]]
) -> Sequence[Choice]:
    """All choices for some holders, in their order."""
    return tuple(
        _choice(row)
        for scope, holder in dict.fromkeys(holders)
        for row in rows(database, FOR_HOLDER, (scope, storable(holder)))
    )


def choices_of(database: sqlite3.Connection, topic: Topic) -> Sequence[Choice]:
    """All choices of one topic."""
    return tuple(_choice(row) for row in rows(database, OF_TOPIC, (topic,)))


def is_quiet(database: sqlite3.Connection, key: ThreadKey) -> bool:
    """Whether the bot is to stay silent in a thread until it is mentioned."""
    # Values, as each message is asked for: the driver takes as long for a kind of text of its own,
    # which it looks up how to store, as for all else (measured).
    return bool(rows(database, QUIET, (Scope.THREAD.value, str(key), Topic.QUIET.value)))


def _choice(row: sqlite3.Row) -> Choice:
    scope, holder, topic, value, by, at = row
    return Choice(scope=Scope(scope), holder=holder, topic=Topic(topic), value=value, by=by, at=at)
