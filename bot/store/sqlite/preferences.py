"""What is said to the database about what people chose."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.store.sqlite.connection import fetch_all

MAX_PREFERENCES: Final = 1_000
"""Choices of one topic that are told."""

_SET_PREFERENCE = """
    INSERT INTO choices (scope, holder, topic, value, by, at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope, holder, topic) DO UPDATE
    SET value = excluded.value, by = excluded.by, at = excluded.at
"""
_CLEAR_PREFERENCE = "DELETE FROM choices WHERE scope = ? AND holder = ? AND topic = ? RETURNING 1"
_SELECT_PREFERENCE = "SELECT scope, holder, topic, value, by, at FROM choices"
FOR_SCOPE = f"{_SELECT_PREFERENCE} WHERE scope = ? AND holder = ? ORDER BY topic"
OF_KIND = f"{_SELECT_PREFERENCE} WHERE topic = ? ORDER BY holder, scope LIMIT {MAX_PREFERENCES}"
QUIET = "SELECT 1 FROM choices WHERE scope = ? AND holder = ? AND topic = ?"


def set_preference(database: sqlite3.Connection, preference: Preference) -> None:
    """Keep a choice, in place of an earlier one."""
    values = (preference.scope, strip_unstorable(preference.scope_id), preference.kind)
    fetch_all(
        database,
        _SET_PREFERENCE,
        (*values, strip_unstorable(preference.value), preference.set_by, preference.set_at),
    )


def clear_preference(
    database: sqlite3.Connection, scope: Scope, scope_id: str, kind: PreferenceKind
) -> bool:
    """Take a choice back."""
    return bool(fetch_all(database, _CLEAR_PREFERENCE, (scope, strip_unstorable(scope_id), kind)))


def preferences(
    database: sqlite3.Connection, scopes: Sequence[tuple[Scope, str]]
) -> Sequence[Preference]:
    """All choices for some holders, in their order."""
    return tuple(
        _preference(row)
        for scope, holder in dict.fromkeys(scopes)
        for row in fetch_all(database, FOR_SCOPE, (scope, strip_unstorable(holder)))
    )


def preferences_of_kind(database: sqlite3.Connection, kind: PreferenceKind) -> Sequence[Preference]:
    """All choices of one topic."""
    return tuple(_preference(row) for row in fetch_all(database, OF_KIND, (kind,)))


def is_quiet(database: sqlite3.Connection, key: ThreadKey) -> bool:
    """Whether the bot is to stay silent in a thread until it is mentioned."""
    # Values, as each message is asked for: the driver takes as long for a kind of text of its own,
    # which it looks up how to store, as for all else (measured).
    return bool(
        fetch_all(database, QUIET, (Scope.THREAD.value, str(key), PreferenceKind.QUIET.value))
    )


def _preference(row: sqlite3.Row) -> Preference:
    scope, holder, topic, value, by, at = row
    return Preference(
        scope=Scope(scope),
        scope_id=holder,
        kind=PreferenceKind(topic),
        value=value,
        set_by=by,
        set_at=at,
    )
