"""Defines the store's interface for sessions and their history.

Every write is on disk (committed, fsynced) when its call returns. Every method raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.domain.messages import ThreadKey
from bot.domain.sessions import (
    HistoryEntry,
    HistoryPage,
    KnownMessages,
    OrphanReport,
    SessionFilter,
    SessionOrigin,
    SessionPage,
    SessionRecord,
    SessionTotals,
)
from bot.domain.turns import Turn


class SessionStore(Protocol):
    """Store of sessions and their history."""

    async def ensure_session(self, turn: Turn) -> SessionRecord:
        """The current session of a turn's thread for its role (`MessageOptions.role`).

        If there is none, a session is created, with the turn's author as owner and the turn's text
        as title.
        """
        ...

    async def current_session(self, thread: ThreadKey, role: str = "") -> SessionRecord | None:
        """The current session of a thread for a role, or None."""
        ...

    async def current_sessions(self, thread: ThreadKey) -> Sequence[SessionRecord]:
        """The current sessions of a thread, the main one first, the others by role."""
        ...

    async def session_by_number(self, number: int) -> SessionRecord | None:
        """The session with a number, or None."""
        ...

    async def session_by_id(self, session_id: str) -> SessionRecord | None:
        """The session with an id of the runtime, or None."""
        ...

    async def list_sessions(
        self, session_filter: SessionFilter, offset: int, limit: int
    ) -> SessionPage:
        """A page of the sessions that match, the most recently used first.

        A filter of `unused_since` and `keep_newest` alone takes as long with a million sessions as
        with a thousand, for any page and for the totals. With other filters the time grows with the
        sessions that match them, such as those of the owner.
        """
        ...

    async def session_totals(self, session_filter: SessionFilter) -> SessionTotals:
        """The totals of the sessions that match."""
        ...

    async def session_ids(self) -> frozenset[str]:
        """The runtime's ids of all recorded sessions."""
        ...

    async def reset(
        self,
        thread: ThreadKey,
        role: str,
        owner: str,
        *,
        mark_seen: bool = True,
        seen_until: str = "",
    ) -> SessionRecord:
        """Create a new current session for a role in a known thread; the previous one becomes
        inactive.

        With `mark_seen`, the session counts as knowing all messages so far, or those up to the `ts`
        `seen_until`. Without it, the session knows none.
        """
        ...

    async def attach(self, number: int, thread: ThreadKey) -> SessionRecord | None:
        """Make a session the current one of its role in a known thread, and move it there.

        The previous one becomes inactive. The session, or None if it does not exist.
        """
        ...

    async def add_session(
        self,
        source: SessionRecord,
        *,
        session_id: str,
        origin: SessionOrigin,
        thread: ThreadKey,
        owner: str,
        title: str = "",
        model: str = "",
        before_turn: int = 0,
    ) -> SessionRecord:
        """Record a copy of `source`, inactive, with the history before the turn `before_turn`, or
        all of it if that is 0.

        `session_id` is the runtime's id of the copy. If it is empty, the runtime has no copy yet,
        and the session gets an id of the thread. `thread` must be known.
        """
        ...

    async def append_history(self, turn: Turn, session: int, event_id: str) -> None:
        """Add a turn to a session's history: the runtime accepted its prompt.

        The session then knows the thread up to the turn's message; for a retry, up to the message
        that was answered first. Does nothing if the turn's epoch is old.
        """
        ...

    async def truncate_history(
        self,
        session: int,
        turn: int,
        *,
        mark_seen: bool = False,
        seen_until: str = "",
        command_key: str = "",
    ) -> Sequence[int]:
        """Remove a turn and all later ones from a session's history. The removed turns, or an empty
        sequence if the turn is not in it.

        The session no longer knows the messages before the first of them. With `mark_seen` it
        counts instead as knowing all messages so far, or those up to `seen_until`.

        `command_key` is the key of the command that asked for this, or empty. Its hold is released
        in the same transaction, so that the command does not run twice.
        """
        ...

    async def clear_history(self, session: int) -> SessionRecord | None:
        """Clear a session's history, because its memory was lost: it knows no message of its
        thread. The session, or None if it does not exist."""
        ...

    async def list_history(self, session: int, offset: int, limit: int) -> HistoryPage:
        """A page of a session's history, oldest first."""
        ...

    async def history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        """One turn of a session's history, or None."""
        ...

    async def count_history_after(self, session: int, turn: int) -> int:
        """The number of turns in a session's history after this one."""
        ...

    async def known_messages(self, session: SessionRecord) -> KnownMessages:
        """The messages of its thread that a session already knows."""
        ...

    async def history_entry_after_position(
        self, session: int, position: int
    ) -> HistoryEntry | None:
        """The first turn of a session's history whose message has a higher position
        (`bot.domain.messages.ts_position`), or None."""
        ...

    async def next_history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        """The turn after another one in a session's history, or None."""
        ...

    async def count_forks_since(self, owner: str, since: float) -> int:
        """The number of a user's forks that were made since a time and still exist."""
        ...

    async def rename_session(self, session: int, title: str) -> None:
        """Set a session's title."""
        ...

    async def set_model(self, session: int, model: str, effort: str) -> None:
        """Set a session's model and effort; empty for the default."""
        ...

    async def save_sizes(self, sizes: Mapping[str, int]) -> OrphanReport:
        """Save the sizes of all sessions in the runtime, in bytes by the runtime's id. Reports the
        sessions that only one side has."""
        ...

    async def delete_sessions(self, sessions: Sequence[int]) -> int:
        """Delete sessions, and the texts, answers and notes of all turns that no other session has
        in its history. The number of deleted sessions. The usage of turns stays."""
        ...
