"""Queries and updates preferences."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

MAX_PREFERENCES: Final = 1_000
"""Maximum number of preferences of one kind that are returned."""

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


class PreferenceQueries(Queries):
    """Queries for preferences: `bot.ports.PreferenceStore`."""

    @write
    def set_preference(self, database: sqlite3.Connection, preference: Preference) -> None:
        values = (preference.scope, strip_unstorable(preference.scope_id), preference.kind)
        fetch_all(
            database,
            _SET_PREFERENCE,
            (*values, strip_unstorable(preference.value), preference.set_by, preference.set_at),
        )

    @write
    def clear_preference(
        self, database: sqlite3.Connection, scope: Scope, scope_id: str, kind: PreferenceKind
    ) -> bool:
        return bool(
            fetch_all(database, _CLEAR_PREFERENCE, (scope, strip_unstorable(scope_id), kind))
        )

    @read
    def preferences(
        self, database: sqlite3.Connection, scopes: Sequence[tuple[Scope, str]]
    ) -> Sequence[Preference]:
        return tuple(
            _preference(row)
            for scope, scope_id in dict.fromkeys(scopes)
            for row in fetch_all(database, FOR_SCOPE, (scope, strip_unstorable(scope_id)))
        )

    @read
    def preferences_of_kind(
        self, database: sqlite3.Connection, kind: PreferenceKind
    ) -> Sequence[Preference]:
        return tuple(_preference(row) for row in fetch_all(database, OF_KIND, (kind,)))


def is_quiet(database: sqlite3.Connection, key: ThreadKey) -> bool:
    """True if the bot answers in a thread only when it is mentioned."""
    # This runs for each message, so it passes plain strings: the driver looks up how to store an
    # enum, which takes as long as all the rest (measured).
    return bool(
        fetch_all(database, QUIET, (Scope.THREAD.value, str(key), PreferenceKind.QUIET.value))
    )


def _preference(row: sqlite3.Row) -> Preference:
    scope, scope_id, kind, value, set_by, set_at = row
    return Preference(
        scope=Scope(scope),
        scope_id=scope_id,
        kind=PreferenceKind(kind),
        value=value,
        set_by=set_by,
        set_at=set_at,
    )
