"""Checks whether a user may have another turn.

Refused are blocked users, and users who have used up their turns of the last 24 hours. A quota that
an admin set for one user replaces the default one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.domain.preferences import ENABLED, Preference, PreferenceKind, Scope
from bot.ports import Clock, Store

DAY_SECONDS: Final = 86_400
MAX_TURNS_PER_DAY: Final = 100_000
"""Maximum quota that an admin can set, in turns a day."""

BLOCKED: Final = "An admin has turned Threadpilot off for you."
USED_UP: Final = (
    "You've reached your limit of {turns} in 24 hours. Please try again later, or ask a bot admin "
    "for more."
)
ONE_TURN: Final = "1 question"
TURNS: Final = "{count:,} questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What applies to one user."""

    blocked: bool = False
    per_day: int = 0
    """Maximum number of turns in 24 hours; 0 for no limit."""
    is_custom: bool = False
    """True if an admin set the number for this user."""


class QuotaPolicy:
    """Checks users against their quota."""

    def __init__(self, store: Store, clock: Clock, *, per_day: int) -> None:
        """`per_day` is the default number of turns in 24 hours; 0 for no limit."""
        self._store = store
        self._clock = clock
        self.per_day = per_day

    async def quota_refusal(self, user: str) -> str:
        """The refusal text for a user without turns left, or an empty string.

        Raises `StoreError`.
        """
        quota = await self.quota_of(user)
        if quota.blocked:
            return BLOCKED
        if not quota.per_day:
            return ""
        used = await self._store.count_turns_since(user, self._clock.now() - DAY_SECONDS)
        if used < quota.per_day:
            return ""
        one = quota.per_day == 1
        return USED_UP.format(turns=ONE_TURN if one else TURNS.format(count=quota.per_day))

    async def quota_of(self, user: str) -> Quota:
        """The quota of a user. Raises `StoreError`."""
        return self.quota_from(await self._store.preferences([(Scope.USER, user)]), user)

    def quota_from(self, preferences: Sequence[Preference], user: str) -> Quota:
        """The quota of a user, from preferences that are read already."""
        chosen = {
            choice.kind: choice.value
            for choice in preferences
            if choice.scope is Scope.USER and choice.scope_id == user
        }
        value = chosen.get(PreferenceKind.QUOTA, "")
        is_custom = value.isdecimal() and int(value) <= MAX_TURNS_PER_DAY
        return Quota(
            blocked=chosen.get(PreferenceKind.BLOCKED) == ENABLED,
            per_day=int(value) if is_custom else self.per_day,
            is_custom=is_custom,
        )
