"""What is said to the database about what people chose."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

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


class PreferenceQueries(Queries):
    """`bot.ports.PreferenceStore`."""

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
            for scope, holder in dict.fromkeys(scopes)
            for row in fetch_all(database, FOR_SCOPE, (scope, strip_unstorable(holder)))
        )

    @read
    def preferences_of_kind(
        self, database: sqlite3.Connection, kind: PreferenceKind
    ) -> Sequence[Preference]:
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
