"""The whole database, as the story asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.domain.commands import AuditEntry
from bot.domain.comparisons import Candidate, Comparison, Score
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Turn
from bot.domain.usage import UsageBy, UsageRow
from bot.ports.session_store import SessionStore
from bot.ports.turn_store import (
    HearingStore,
    InboxStore,
    OrderStore,
    QuestionStore,
    SignStore,
    ThreadStore,
)


class ChoiceStore(Protocol):
    """What people chose."""

    async def choose(self, choice: Choice) -> None:
        """Keep a choice, in place of an earlier one for the same holder and topic."""
        ...

    async def unchoose(self, scope: Scope, holder: str, topic: Topic) -> bool:
        """Take a choice back; whether there was one."""
        ...

    async def choices(self, holders: Sequence[tuple[Scope, str]]) -> Sequence[Choice]:
        """All choices for some holders."""
        ...

    async def choices_of(self, topic: Topic) -> Sequence[Choice]:
        """All choices of one topic, by holder; 1,000 at most."""
        ...


class UsageStore(Protocol):
    """What was used: of every turn that was asked of a model, ended or not."""

    async def usage(
        self,
        by: UsageBy,
        since: float,
        *,
        thread: ThreadKey | None = None,
        user: str = "",
        channel: str = "",
        most: int = 20,
    ) -> Sequence[UsageRow]:
        """What was used since a time, added up, the most turns first; narrowed where given."""
        ...

    async def turns_since(self, user: str, since: float) -> int:
        """How many turns of somebody were begun since a time (`Turn`s that came to a prompt), side
        questions counted like turns."""
        ...

    async def note_aside(self, user: str, thread: ThreadKey | None) -> None:
        """Somebody asks a side question: it counts as a turn in what was used, without tokens,
        which nobody tells."""
        ...


class ComparisonStore(Protocol):
    """Comparisons of models."""

    async def note_comparison(
        self, turn: Turn, session: int, candidates: Sequence[Candidate]
    ) -> None:
        """Keep what came of a turn that compares; replaces what was kept for it."""
        ...

    async def comparison(self, turn: int) -> Comparison | None: ...

    async def vote(self, turn: int, user: str, label: str) -> bool:
        """Count somebody's one vote, in place of an earlier one. False when there is no such
        answer, or the names are shown already (unless they were from the start)."""
        ...

    async def reveal(self, turn: int) -> bool:
        """Show the names; False when they are shown already."""
        ...

    async def keep(self, turn: int, label: str) -> bool:
        """Note which answer is kept; False when one is kept already, or there is no such one."""
        ...

    async def scores(self, channels: Sequence[str], most: int = 10) -> Sequence[Score]:
        """How models do in the comparisons of some channels, the most votes first."""
        ...


class AuditStore(Protocol):
    """What those in charge did. Never changed, never taken off: each entry bears a hash over itself
    and the one before it, so that whoever does it all the same is found out."""

    async def audit(self, by: str, act: str, target: str, detail: str = "") -> None: ...

    async def audited(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        """Entries, newest first, and how many there are in all."""
        ...


class Store(
    InboxStore,
    ThreadStore,
    SessionStore,
    ChoiceStore,
    UsageStore,
    ComparisonStore,
    OrderStore,
    AuditStore,
    HearingStore,
    QuestionStore,
    SignStore,
    Protocol,
):
    """The whole database."""

    async def check(self) -> None:
        """Raise `StoreError` unless a message could be recorded just now."""
        ...
