"""Defines the store's interface for preferences, usage and audit, and the whole store.

Every write is on disk (committed, fsynced) when its call returns. Every method raises `StoreError`.
"""

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
    """Store of preferences."""

    async def set_preference(self, preference: Preference) -> None:
        """Save a preference; replaces an earlier one of the same scope and kind."""
        ...

    async def clear_preference(self, scope: Scope, scope_id: str, kind: PreferenceKind) -> bool:
        """Delete a preference. False if there was none."""
        ...

    async def preferences(self, scopes: Sequence[tuple[Scope, str]]) -> Sequence[Preference]:
        """All preferences of some scopes."""
        ...

    async def preferences_of_kind(self, kind: PreferenceKind) -> Sequence[Preference]:
        """All preferences of one kind, by scope id; 1,000 at most."""
        ...


class UsageStore(Protocol):
    """Store of usage: of every turn that was prompted, whether it has ended or not."""

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
        """Sums of usage since a time, the most turns first; only of the thread, user and channel
        that are given."""
        ...

    async def count_turns_since(self, user: str, since: float) -> int:
        """The number of a user's turns that were prompted since a time, including side
        questions."""
        ...

    async def record_side_question(self, user: str, thread: ThreadKey | None) -> None:
        """Record a side question. It counts as a turn without tokens, because the runtime does not
        report them."""
        ...


class ComparisonStore(Protocol):
    """Store of model comparisons."""

    async def save_comparison(
        self, turn: Turn, session: int, candidates: Sequence[Candidate]
    ) -> None:
        """Save the candidates of a turn; replaces those saved before."""
        ...

    async def comparison_of_turn(self, turn: int) -> Comparison | None:
        """The comparison of a turn, or None."""
        ...

    async def save_vote(self, turn: int, user: str, label: str) -> bool:
        """Save a user's one vote; replaces an earlier one. False if there is no such answer, or if
        the model names were revealed since."""
        ...

    async def reveal_models(self, turn: int) -> bool:
        """Reveal the model names. False if they are revealed already."""
        ...

    async def mark_kept(self, turn: int, label: str) -> bool:
        """Record which answer is kept. False if one is kept already, or if there is no such
        answer."""
        ...

    async def model_scores(
        self, channels: Sequence[str], max_rows: int = 10
    ) -> Sequence[ModelScore]:
        """The scores of models in the comparisons of some channels, the most votes first."""
        ...


class AuditStore(Protocol):
    """Store of what admins did. An entry is never changed or removed. Each has a hash over itself
    and the entry before it, which reveals a change."""

    async def add_audit_entry(self, actor: str, action: str, target: str, detail: str = "") -> None:
        """Append an entry to the audit log."""
        ...

    async def list_audit_entries(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        """A page of entries, newest first, and the number of all entries."""
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
    """The whole store."""

    async def check_writable(self) -> None:
        """Raise `StoreError` unless a message could be recorded now."""
        ...
