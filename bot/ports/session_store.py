"""What the story asks of the database about sessions and what each remembers.

Every write is on disk (committed, fsynced) when its call returns. Everything raises `StoreError`.
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
    """The sessions of threads, and what each remembers."""

    async def ensure_session(self, turn: Turn) -> SessionRecord:
        """The current session of a turn's thread for the role that is wished
        (`MessageOptions.role`); made, with the turn's author as owner and its text as title, where
        there is none."""
        ...

    async def current_session(self, thread: ThreadKey, role: str = "") -> SessionRecord | None:
        """A thread's current session of a role."""
        ...

    async def current_sessions(self, thread: ThreadKey) -> Sequence[SessionRecord]:
        """A thread's current sessions, the main one first, the others by role."""
        ...

    async def session_by_number(self, number: int) -> SessionRecord | None: ...

    async def session_by_id(self, session_id: str) -> SessionRecord | None:
        """The session with the runtime's id."""
        ...

    async def list_sessions(
        self, session_filter: SessionFilter, offset: int, limit: int
    ) -> SessionPage:
        """Sessions that fit, newest used first. Where nothing narrows but `unused_since` and
        `keep_newest`, any page is as quick with a million sessions as with a thousand, and so are
        the totals; else both take as long as there are sessions of the owner, or whatever else it
        is that narrows."""
        ...

    async def session_totals(self, session_filter: SessionFilter) -> SessionTotals:
        """What the sessions that fit come to."""
        ...

    async def session_ids(self) -> frozenset[str]:
        """The runtime's ids of all sessions on record."""
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
        """A fresh current session for a role in a known thread; the one before is set aside. It is
        taken as told of all that was said up to now, or up to the message with the `ts` `upto`;
        with `told` False, as told of nothing."""
        ...

    async def attach(self, number: int, thread: ThreadKey) -> SessionRecord | None:
        """Make a session the current one of its role in a known thread, to which it belongs from
        then on; the one before is set aside. None when there is no such session."""
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
        """Put a copy of `source` on record, set aside, which the runtime has under `session_id`; ""
        for one that the runtime does not have yet, and then it is given an id of the thread's. It
        remembers what `source` does, up to and without `before_turn` where that is given. `thread`
        is known."""
        ...

    async def append_history(self, turn: Turn, session: int, event_id: str) -> None:
        """The runtime took a turn's prompt: the session remembers it from now on, and knows of all
        that was said in the thread up to the turn's message; where it answers another one anew, up
        to the message that was asked first. Nothing when the turn's epoch is
        old."""
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
        """Let a session forget a turn and all that it was asked later; what was forgotten. It is
        again told what was said before the first of them; with `told` it is taken as told of all
        that was said up to now, or up to `upto`, instead. Nothing where it does not remember the
        turn. Where an order had it done, nothing waits for `order` (its key) any more: in the same
        moment, so that it is not done twice."""
        ...

    async def clear_history(self, session: int) -> SessionRecord | None:
        """A session lost all its memory: it remembers no turn, and has been told nothing of what
        was said in its thread. As it is then."""
        ...

    async def list_history(self, session: int, offset: int, limit: int) -> HistoryPage:
        """What a session remembers, oldest first."""
        ...

    async def history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        """One turn that a session remembers."""
        ...

    async def count_history_after(self, session: int, turn: int) -> int:
        """How many turns that a session remembers it was asked after this one."""
        ...

    async def known_messages(self, session: SessionRecord) -> KnownMessages:
        """What of its thread a session need not be told as something that was said."""
        ...

    async def history_entry_after_position(
        self, session: int, position: int
    ) -> HistoryEntry | None:
        """The first turn that a session remembers of those whose messages were written after a
        position (`bot.domain.messages.ts_position`)."""
        ...

    async def next_history_entry(self, session: int, turn: int) -> HistoryEntry | None:
        """The turn that a session was asked next after another one."""
        ...

    async def count_forks_since(self, owner: str, since: float) -> int:
        """How many forks of somebody were made since a time and are there still."""
        ...

    async def rename_session(self, session: int, title: str) -> None: ...

    async def set_model(self, session: int, model: str, effort: str) -> None:
        """Choose a session's model and effort; "" for neither."""
        ...

    async def save_sizes(self, sizes: Mapping[str, int]) -> OrphanReport:
        """Keep how many bytes sessions take, by the runtime's ids of all that it has; what only one
        side knows of."""
        ...

    async def delete_sessions(self, sessions: Sequence[int]) -> int:
        """Take sessions off the record, with the words of all turns that no other session
        remembers: texts, answers and notes. How many there were. What turns cost stays."""
        ...
