"""The store's side that knows what people chose, used and compared; and the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from bot.domain.commands import AuditEntry
from bot.domain.comparisons import Candidate, Comparison, ModelScore
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.turns import Turn
from bot.domain.usage import UsageGrouping, UsageRow
from bot.store.sqlite import audit, comparisons, usage
from bot.store.sqlite import preferences as choices
from bot.store.sqlite.side import Side


class PeopleSide(Side):
    """`PreferenceStore`, `UsageStore`, `ComparisonStore` and `AuditStore`."""

    # Choices

    async def set_preference(self, preference: Preference) -> None:
        await self._writer.submit(partial(choices.set_preference, preference=preference))

    async def clear_preference(self, scope: Scope, scope_id: str, kind: PreferenceKind) -> bool:
        return await self._writer.submit(
            partial(choices.clear_preference, scope=scope, scope_id=scope_id, kind=kind)
        )

    async def preferences(self, scopes: Sequence[tuple[Scope, str]]) -> Sequence[Preference]:
        return await self._read(partial(choices.preferences, scopes=scopes))

    async def preferences_of_kind(self, kind: PreferenceKind) -> Sequence[Preference]:
        return await self._read(partial(choices.preferences_of_kind, kind=kind))

    # Usage

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
        narrowed = partial(
            usage.sum_usage, thread=thread, user=user, channel=channel, max_rows=max_rows
        )
        return await self._read(partial(narrowed, grouping=grouping, since=since))

    async def count_turns_since(self, user: str, since: float) -> int:
        return await self._read(partial(usage.count_turns_since, user=user, since=since))

    async def record_side_question(self, user: str, thread: ThreadKey | None) -> None:
        now = self._clock.now()
        await self._writer.submit(
            partial(usage.record_side_question, user=user, thread=thread, now=now)
        )

    # Comparisons

    async def save_comparison(
        self, turn: Turn, session: int, candidates: Sequence[Candidate]
    ) -> None:
        noting = partial(comparisons.save_comparison, turn=turn, session=session)
        await self._writer.submit(partial(noting, candidates=candidates, now=self._clock.now()))

    async def comparison_of_turn(self, turn: int) -> Comparison | None:
        return await self._read(partial(comparisons.comparison_of_turn, turn=turn))

    async def save_vote(self, turn: int, user: str, label: str) -> bool:
        return await self._writer.submit(
            partial(comparisons.save_vote, turn=turn, user=user, label=label)
        )

    async def reveal_models(self, turn: int) -> bool:
        return await self._writer.submit(partial(comparisons.reveal_models, turn=turn))

    async def mark_kept(self, turn: int, label: str) -> bool:
        return await self._writer.submit(partial(comparisons.mark_kept, turn=turn, label=label))

    async def model_scores(
        self, channels: Sequence[str], max_rows: int = 10
    ) -> Sequence[ModelScore]:
        asked = json.dumps(sorted(set(channels)))
        return await self._read(
            partial(comparisons.model_scores, channels=asked, max_rows=max_rows)
        )

    # Audit

    async def add_audit_entry(self, actor: str, action: str, target: str, detail: str = "") -> None:
        now = self._clock.now()
        await self._writer.submit(
            partial(
                audit.add_audit_entry,
                now=now,
                actor=actor,
                action=action,
                target=target,
                detail=detail,
            )
        )

    async def list_audit_entries(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        return await self._read(partial(audit.list_audit_entries, offset=offset, limit=limit))
