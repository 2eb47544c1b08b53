"""Defines what the store records about sessions.

A session has a number, which users type (`s12`), and an id for the runtime. It belongs to a thread
for one role; the role "" is the main one. One session of a thread and role is current. The others
are inactive and can be attached again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.turns import TurnState

MAIN_ROLE: Final = ""
"""The role of a thread's main session."""

EFFORTS: Final = ("low", "medium", "high")
"""The reasoning efforts of a model."""

_HANDLE_PATTERN: Final = re.compile(r"[sS]?([0-9]{1,12})", re.ASCII)


class SessionOrigin(StrEnum):
    """How a session was created."""

    THREAD = "thread"
    """Created by a message in its thread."""
    FORK = "fork"
    """Copied from another session, for a thread of its own."""
    COMPARISON = "comparison"
    """Copied to answer one question of a comparison; deleted when another copy is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One recorded session. Times are seconds since the epoch."""

    number: int
    id: str
    """The runtime's id."""
    thread: ThreadKey
    """The thread of the session. Users who can see it can see the session."""
    role: str
    current: bool
    """True if it is its thread's current session of its role."""
    owner: str
    """Slack user id of the user who created it."""
    title: str
    origin: SessionOrigin
    model: str
    """The model set for this session; empty if a more general preference applies."""
    last_model: str
    """The model of the last answer; empty if there is none."""
    effort: str
    seen_ts: str
    """The `ts` up to which it knows the messages of its thread; empty for none."""
    turn_count: int
    """Number of turns in its history."""
    input_tokens: int
    output_tokens: int
    """Like `input_tokens`: the sum over all its turns."""
    context_tokens: int
    context_limit: int
    """Tokens of the model's context, and `context_tokens` of them used by the last model call; 0:
    unknown."""
    size: int
    """Size on disk in bytes, when last measured; 0: unknown."""
    created_at: float
    last_used_at: float

    @property
    def handle(self) -> str:
        """The name that users type: `s12`."""
        return f"s{self.number}"

    @property
    def has_turns(self) -> bool:
        """True if the runtime may know it: it does not before the first turn."""
        return self.turn_count > 0


def parse_session_handle(handle: str) -> int | None:
    """The number in `s12` or `12`, or None if it is no handle."""
    found = _HANDLE_PATTERN.fullmatch(handle.strip())
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Selects sessions; a field that is empty or None does not restrict."""

    owner: str = ""
    channel: str = ""
    thread: ThreadKey | None = None
    model: str = ""
    """The model of the last answer."""
    unused_since: float | None = None
    """Last used before this time."""
    keep_newest: int = 0
    """Number of matching sessions to leave out, the most recently used."""
    inactive: bool | None = None
    """True: only inactive sessions; False: only current ones."""
    comparison_copies: bool | None = None
    """True: only copies of comparisons that were not kept; False: all but those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """One page of sessions, the most recently used first."""

    sessions: Sequence[SessionRecord]
    total: int
    """Number of sessions that match in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTotals:
    """Totals of some sessions."""

    count: int
    size: int
    oldest: float
    """The earliest time of last use; 0 if there is no session, like `newest`."""
    newest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanReport:
    """Sessions that either only the runtime or only the store has."""

    orphan_sizes: Mapping[str, int]
    """Sizes in bytes, by the runtime's id, of sessions that the store does not have."""
    missing_count: int
    """Number of recorded sessions with turns that the runtime does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One turn of a session's history."""

    turn: int
    ts: str
    user: str
    text: str
    answer: str
    state: TurnState
    model: str
    event_id: str
    """The runtime's id of the prompt in its own history of the session."""
    accepted_at: float
    seconds: float
    """Duration of the answer; 0: unknown."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """One page of a session's history, oldest first."""

    entries: Sequence[HistoryEntry]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMessages:
    """The messages of a thread, by `ts`, that a session knows without the prompt context."""

    known_ts: frozenset[str]
    """All commands, and the messages and replies of turns that the session was prompted with.
    Truncated turns count, too, unless the session has no turn at all."""
    other_session_replies: frozenset[str]
    """Replies of other sessions of the thread: of other roles, or of one that is deleted.
    Comparisons do not count. Of the bot's own messages only these are useful context."""
    posted_questions: Mapping[str, tuple[str, str]]
    """Messages in which the bot posted a user's question (asked by command) that the session was
    not prompted with. The value is the user id and the question."""
