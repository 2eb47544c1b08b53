"""What the database knows of sessions.

A session has a number, which people type (`s12`), and an id, which the runtime takes. It belongs to
a thread for one role ("" is the main one); of a thread's sessions of one role one is current, the
others are set aside and can be taken up again.
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
"""The role of a thread's ordinary session."""

EFFORTS: Final = ("low", "medium", "high")
"""How hard a model can be asked to think."""

_HANDLE_PATTERN: Final = re.compile(r"[sS]?([0-9]{1,12})", re.ASCII)


class SessionOrigin(StrEnum):
    """How a session came to be."""

    THREAD = "thread"
    """Begun by a message in its thread."""
    FORK = "fork"
    """Copied from another session, for a thread of its own."""
    COMPARISON = "comparison"
    """Copied to answer one question of a comparison; goes when another one is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session on record. Times are seconds since the epoch."""

    number: int
    id: str
    """The runtime's."""
    thread: ThreadKey
    """The thread that it belongs to: those who may see that place may see it."""
    role: str
    current: bool
    """Whether it is its thread's session of its role."""
    owner: str
    """Slack user id of who began it."""
    title: str
    origin: SessionOrigin
    model: str
    """Chosen for this session; "" where a more general choice counts."""
    last_model: str
    """The one that answered last; "" where none did."""
    effort: str
    seen_ts: str
    """Up to which message of the thread it has been told what was said; "" for not at all."""
    turn_count: int
    """How many turns it remembers."""
    input_tokens: int
    output_tokens: int
    """Of all turns that were asked of it, in all."""
    context_tokens: int
    context_limit: int
    """What its last model call took of the model's context, and how much that is; 0: unknown."""
    size: int
    """Bytes on disk when last looked at; 0: unknown."""
    created_at: float
    last_used_at: float

    @property
    def handle(self) -> str:
        """What people call it: `s12`."""
        return f"s{self.number}"

    @property
    def has_turns(self) -> bool:
        """Whether the runtime may know it: before its first turn it does not."""
        return self.turn_count > 0


def parse_session_handle(handle: str) -> int | None:
    """The number in `s12` or `12`; None for what is no handle."""
    found = _HANDLE_PATTERN.fullmatch(handle.strip())
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are meant; what is empty or None does not narrow."""

    owner: str = ""
    channel: str = ""
    thread: ThreadKey | None = None
    model: str = ""
    """The model that it was last asked with."""
    unused_since: float | None = None
    """Last used before this time."""
    keep_newest: int = 0
    """Leaves out the newest so many (by `used`) of all that fit otherwise."""
    inactive: bool | None = None
    """True: only those that are not current; False: only those that are."""
    comparison_copies: bool | None = None
    """True: only the copies of comparisons that nobody goes on with; False: all but those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """One page of sessions, newest used first."""

    sessions: Sequence[SessionRecord]
    total: int
    """How many fit in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTotals:
    """What some sessions come to."""

    count: int
    size: int
    oldest: float
    """The earliest `used` among them; 0 where there is none, like `newest`."""
    newest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanReport:
    """What either only the runtime has or only the record knows of."""

    orphan_sizes: Mapping[str, int]
    """The runtime's sessions that are on no record, and how many bytes each takes."""
    missing_count: int
    """How many sessions on record were asked something, and the runtime has none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One turn that a session remembers."""

    turn: int
    ts: str
    user: str
    text: str
    answer: str
    state: TurnState
    model: str
    event_id: str
    """The runtime's id of the prompt in the session's history."""
    asked_at: float
    seconds: float
    """How long the answer took; 0: unknown."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Turns that a session remembers, oldest first."""

    entries: Sequence[HistoryEntry]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMessages:
    """Which messages of a thread a session knows otherwise than by being told, as `ts`."""

    known_ts: frozenset[str]
    """Messages and replies of turns that it was asked (also those that it is meant to have
    forgotten, unless it was never asked anything or lost all), and all orders."""
    other_session_replies: frozenset[str]
    """Replies of turns that were asked of the thread's sessions of other roles, or of one that is
    gone; comparisons left out. Of what the bot itself wrote, only these are worth telling."""
    posted_questions: Mapping[str, tuple[str, str]]
    """Messages by which the bot put somebody's question into the thread (asked by command), that
    the session was not asked: who asked it (a user id), and what."""
