"""The store's side that knows what people chose, used and compared; and the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from bot.domain.commands import AuditEntry
from bot.domain.comparisons import Candidate, Comparison, Score
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Turn
from bot.domain.usage import UsageBy, UsageRow
from bot.store.sqlite import audit, comparisons, usage
from bot.store.sqlite import preferences as choices
from bot.store.sqlite.side import Side


class PeopleSide(Side):
    """`ChoiceStore`, `UsageStore`, `ComparisonStore` and `AuditStore`."""

    # Choices

    async def choose(self, choice: Choice) -> None:
        await self._writer.do(partial(choices.choose, choice=choice))

    async def unchoose(self, scope: Scope, holder: str, topic: Topic) -> bool:
        return await self._writer.do(
            partial(choices.unchoose, scope=scope, holder=holder, topic=topic)
        )

    async def choices(self, holders: Sequence[tuple[Scope, str]]) -> Sequence[Choice]:
        return await self._read(partial(choices.choices_for, holders=holders))

    async def choices_of(self, topic: Topic) -> Sequence[Choice]:
        return await self._read(partial(choices.choices_of, topic=topic))

    # Usage

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
        narrowed = partial(usage.usage, thread=thread, user=user, channel=channel, most=most)
        return await self._read(partial(narrowed, by=by, since=since))

    async def turns_since(self, user: str, since: float) -> int:
        return await self._read(partial(usage.turns_since, user=user, since=since))

    async def note_aside(self, user: str, thread: ThreadKey | None) -> None:
        now = self._clock.now()
        await self._writer.do(partial(usage.note_aside, user=user, thread=thread, now=now))

    # Comparisons

    async def note_comparison(
        self, turn: Turn, session: int, candidates: Sequence[Candidate]
    ) -> None:
        noting = partial(comparisons.note_comparison, turn=turn, session=session)
        await self._writer.do(partial(noting, candidates=candidates, now=self._clock.now()))

    async def comparison(self, turn: int) -> Comparison | None:
        return await self._read(partial(comparisons.comparison, turn=turn))

    async def vote(self, turn: int, user: str, label: str) -> bool:
        return await self._writer.do(partial(comparisons.vote, turn=turn, user=user, label=label))

    async def reveal(self, turn: int) -> bool:
        return await self._writer.do(partial(comparisons.reveal, turn=turn))

    async def keep(self, turn: int, label: str) -> bool:
        return await self._writer.do(partial(comparisons.keep, turn=turn, label=label))

    async def scores(self, channels: Sequence[str], most: int = 10) -> Sequence[Score]:
        asked = json.dumps(sorted(set(channels)))
        return await self._read(partial(comparisons.scores, channels=asked, most=most))

    # Audit

    async def audit(self, by: str, act: str, target: str, detail: str = "") -> None:
        now = self._clock.now()
        await self._writer.do(
            partial(audit.audit, now=now, by=by, act=act, target=target, detail=detail)
        )

    async def audited(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        return await self._read(partial(audit.audited, offset=offset, limit=limit))
