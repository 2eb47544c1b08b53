"""The whole database, as the story asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.domain.commands import AuditEntry
from bot.domain.comparisons import Candidate, Comparison, ModelScore
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.turns import Turn
from bot.domain.usage import UsageGrouping, UsageRow
from bot.ports.session_store import SessionStore
from bot.ports.turn_store import (
    CheckpointStore,
    CommandStore,
    InboxStore,
    IndicatorStore,
    PendingQuestionStore,
    ThreadStore,
)


class PreferenceStore(Protocol):
    """What people chose."""

    async def set_preference(self, preference: Preference) -> None:
        """Keep a choice, in place of an earlier one for the same holder and topic."""
        ...

    async def clear_preference(self, scope: Scope, scope_id: str, kind: PreferenceKind) -> bool:
        """Take a choice back; whether there was one."""
        ...

    async def preferences(self, scopes: Sequence[tuple[Scope, str]]) -> Sequence[Preference]:
        """All choices for some holders."""
        ...

    async def preferences_of_kind(self, kind: PreferenceKind) -> Sequence[Preference]:
        """All choices of one topic, by holder; 1,000 at most."""
        ...


class UsageStore(Protocol):
    """What was used: of every turn that was asked of a model, ended or not."""

    async def sum_usage(
        self,
        grouping: UsageGrouping,
        since: float,
        *,
        thread: ThreadKey | None = None,
        user: str = "",
        channel: str = "",
        max_rows: int = 20,
    ) -> Sequence[UsageRow]:
        """What was used since a time, added up, the most turns first; narrowed where given."""
        ...

    async def count_turns_since(self, user: str, since: float) -> int:
        """How many turns of somebody were begun since a time (`Turn`s that came to a prompt), side
        questions counted like turns."""
        ...

    async def record_side_question(self, user: str, thread: ThreadKey | None) -> None:
        """Somebody asks a side question: it counts as a turn in what was used, without tokens,
        which nobody tells."""
        ...


class ComparisonStore(Protocol):
    """Comparisons of models."""

    async def save_comparison(
        self, turn: Turn, session: int, candidates: Sequence[Candidate]
    ) -> None:
        """Keep what came of a turn that compares; replaces what was kept for it."""
        ...

    async def comparison_of_turn(self, turn: int) -> Comparison | None: ...

    async def save_vote(self, turn: int, user: str, label: str) -> bool:
        """Count somebody's one vote, in place of an earlier one. False when there is no such
        answer, or the names are shown already (unless they were from the start)."""
        ...

    async def reveal_models(self, turn: int) -> bool:
        """Show the names; False when they are shown already."""
        ...

    async def mark_kept(self, turn: int, label: str) -> bool:
        """Note which answer is kept; False when one is kept already, or there is no such one."""
        ...

    async def model_scores(
        self, channels: Sequence[str], max_rows: int = 10
    ) -> Sequence[ModelScore]:
        """How models do in the comparisons of some channels, the most votes first."""
        ...


class AuditStore(Protocol):
    """What those in charge did. Never changed, never taken off: each entry bears a hash over itself
    and the one before it, so that whoever does it all the same is found out."""

    async def add_audit_entry(
        self, actor: str, action: str, target: str, detail: str = ""
    ) -> None: ...

    async def list_audit_entries(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        """Entries, newest first, and how many there are in all."""
        ...


class Store(
    InboxStore,
    ThreadStore,
    SessionStore,
    PreferenceStore,
    UsageStore,
    ComparisonStore,
    CommandStore,
    AuditStore,
    CheckpointStore,
    PendingQuestionStore,
    IndicatorStore,
    Protocol,
):
    """The whole database."""

    async def check_writable(self) -> None:
        """Raise `StoreError` unless a message could be recorded just now."""
        ...
