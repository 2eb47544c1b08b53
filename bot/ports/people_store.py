"""What the story asks of the database about what people chose, used, compared and ordered.

Every write is on disk (committed, fsynced) when its call returns. Everything raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.domain import (
    AuditEntry,
    Candidate,
    Choice,
    Comparison,
    Hold,
    Order,
    Scope,
    Score,
    Topic,
    UsageBy,
    UsageRow,
)
from bot.domain.messages import ThreadKey, Turn


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


class OrderStore(Protocol):
    """Orders, from being given to being carried out."""

    async def accept_order(self, order: Order, hold: Hold | None = None) -> bool:
        """Record an order; False when it was recorded before. Unique by key, and by channel and
        `ts` together with the messages of `InboxStore.accept` (Slack delivers a mention twice).
        With `hold`, the turns of some threads with a higher position are not claimed, and not
        begun, until it is released, or the time in it has come."""
        ...

    async def release_order(self, key: str) -> None:
        """An order was carried out: nothing waits for it any more."""
        ...

    async def renew_holds(self, until: float) -> Mapping[str, Hold]:
        """For the start: the orders, by key, that were not carried out and that turns wait for, and
        do so until then. Not those without which their thread has gone on."""
        ...

    async def finish_order(self, key: str) -> None:
        """An order was carried out, and who gave it was told; nothing waits for it any more."""
        ...

    async def unfinished_orders(self) -> Sequence[Order]:
        """For the start: what was not carried out, or nobody was told; the oldest 400. Each
        stays unfinished until `finish_order`."""
        ...


class AuditStore(Protocol):
    """What those in charge did. Never changed, never taken off: each entry bears a hash over itself
    and the one before it, so that whoever does it all the same is found out."""

    async def audit(self, by: str, act: str, target: str, detail: str = "") -> None: ...

    async def audited(self, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        """Entries, newest first, and how many there are in all."""
        ...
