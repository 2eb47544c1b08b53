"""Who may not have another turn: those who are blocked, and those who have had their turns of the
last 24 hours.

A person's own quota, set by somebody in charge, counts instead of the setting for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.ports import Clock, Store

DAY_SECONDS: Final = 86_400
MAX_TURNS_PER_DAY: Final = 100_000

BLOCKED: Final = (
    "Sorry, I may not answer you just now. Please ask the people who are in charge of me."
)
USED_UP: Final = (
    "You have had your {turns} of the last 24 hours. Please ask again later, "
    "or ask the people who are in charge of me for more."
)
ONE_TURN: Final = "one turn"
TURNS: Final = "{count:,} turns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What counts for one person."""

    blocked: bool = False
    per_day: int = 0
    """Turns in 24 hours; 0 for as many as they like."""
    is_custom: bool = False
    """Whether the number was set for them alone."""


class QuotaPolicy:
    """Tells who may have another turn."""

    def __init__(self, store: Store, clock: Clock, *, per_day: int) -> None:
        """`per_day` turns in 24 hours for everybody who has no number of their own; 0: no limit."""
        self._store = store
        self._clock = clock
        self.per_day = per_day

    async def quota_refusal(self, user: str) -> str:
        """The sentence for somebody who may not have another turn now; "" for everybody else.
        Raises `StoreError`."""
        limit = await self.quota_of(user)
        if limit.blocked:
            return BLOCKED
        if not limit.per_day:
            return ""
        had = await self._store.count_turns_since(user, self._clock.now() - DAY_SECONDS)
        if had < limit.per_day:
            return ""
        one = limit.per_day == 1
        return USED_UP.format(turns=ONE_TURN if one else TURNS.format(count=limit.per_day))

    async def quota_of(self, user: str) -> Quota:
        """What counts for somebody. Raises `StoreError`."""
        return self.quota_from(await self._store.preferences([(Scope.USER, user)]), user)

    def quota_from(self, preferences: Sequence[Preference], user: str) -> Quota:
        """What counts for somebody, by choices that were read already."""
        chosen = {
            choice.kind: choice.value
            for choice in preferences
            if choice.scope is Scope.USER and choice.scope_id == user
        }
        quota = chosen.get(PreferenceKind.QUOTA, "")
        own = quota.isdecimal() and int(quota) <= MAX_TURNS_PER_DAY
        return Quota(
            blocked=chosen.get(PreferenceKind.BLOCKED) == ENABLED,
            per_day=int(quota) if own else self.per_day,
            is_custom=own,
        )
