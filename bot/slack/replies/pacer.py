"""How often replies write, and by which way: together they stay below Slack's tiers.

Slack counts by the minute (`bot.slack.api.rate_limiter`), and most answers are over sooner. So
while there is much left of the minute's calls, a reply shows every two seconds what is new; where
so many write that this would not last for twenty seconds, as often as does. When a fifth is left,
that is spread over the replies and over the time until more comes back. What is written for minutes
so comes to the usual pace, the minute's calls divided by the replies, and never stands still until
a minute is over.

All go by the same figures, and where there are fewer calls than replies that want one, it is for
who has written least lately: each writes equally often, however much it has to say.

A message is only begun where a call is left for its end, beside those for the ends of all others.
Streams and edits are counted apart; so where there are so many streams that each would write
seldom, and edits are to be had more often, the next reply comes by edits.

That no minute has too many calls is the budget's word alone, whatever is thought here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bot.domain.turns import Delivery
from bot.ports import Clock
from bot.slack.api.rate_limiter import Budget

WRITES: Final[Mapping[Delivery, str]] = {
    Delivery.STREAM: "chat.appendStream",
    Delivery.EDITS: "chat.update",
}
"""What lets a message say more."""
ENDS: Final[Mapping[Delivery, str]] = {
    Delivery.STREAM: "chat.stopStream",
    Delivery.EDITS: "chat.update",
}
"""What one ends by."""

LEAST_SECONDS: Final = 0.25
"""Nobody reads faster than that, however much Slack takes."""
SOON_SECONDS: Final = 1.75
"""With the call itself less than two: so far behind nobody takes it for standing still."""

_SELDOM_SECONDS: Final = 2 * SOON_SECONDS
"""Streams that usually write no more often than that are not the only way."""
_SOONER: Final = 3.0
"""So much more often than usual is written at most, while there is much left."""
_SPREAD_FROM: Final = 1 / 5
"""Of the minute's calls: when no more are left, they are spread."""
_ROOM: Final = 1 / 16
"""Of a reply's share: left for who comes next."""
_AT_ONCE: Final = 1e-6


class Writer(Protocol):
    """A reply, as far as it matters here."""

    @property
    def delivery(self) -> Delivery:
        """Its way, which may change while it is written."""
        ...


@dataclass(slots=True)
class _Begun:
    """A reply that has begun a message."""

    wrote: float
    """When it wrote last, on the clock's `monotonic`."""
    waits: bool = False
    """Whether it would write now, if there were more calls left."""


class Pace:
    """One for the workspace, shared by all its replies."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._begun: dict[Writer, _Begun] = {}

    def begin(self, writer: Writer, wanted: Delivery) -> Delivery | None:
        """The way by which a reply's next message is to be begun now; None for not yet: there is
        no call left for its end. (One that is posted when it is complete needs none.)"""
        self.leave(writer)
        for way in self._ways(wanted):
            if self._budget.left(ENDS[way]) > self._writing(way):
                self.go_on(writer)
                return way
        return None

    def go_on(self, writer: Writer) -> None:
        """The reply has a message that is to say more."""
        self._begun[writer] = _Begun(self._clock.monotonic())

    def leave(self, writer: Writer) -> None:
        """The reply has ended."""
        self._begun.pop(writer, None)

    def wait(self, writer: Writer) -> float:
        """0.0 when it is the reply's turn to write: then it is taken to do so. Else the seconds
        after which it is to ask again. One that has not begun may always try to."""
        mine = self._begun.get(writer)
        if mine is None:
            return 0.0
        way, now = writer.delivery, self._clock.monotonic()
        left = mine.wrote + self._interval(way) - now
        mine.waits = left <= _AT_ONCE
        if not mine.waits:
            return min(SOON_SECONDS, left)
        before = sum(
            each.waits and each.wrote < mine.wrote and other.delivery is way
            for other, each in self._begun.items()
        )
        if before >= self._free(way):
            return self.pause(way)
        self._begun[writer] = _Begun(now)
        return 0.0

    def pause(self, delivery: Delivery) -> float:
        """Seconds from one look at a reply's text to the next."""
        return min(SOON_SECONDS, self._interval(delivery))

    @property
    def spares_edits(self) -> bool:
        """Whether there are edits left for more than the ends of what has begun."""
        return self._free(Delivery.EDITS) > 0

    def _interval(self, delivery: Delivery) -> float:
        """Seconds from one time that a reply writes to the next."""
        writing, kept = max(1, self._writing(delivery)), self._kept(delivery)
        rule = self._budget.rule(WRITES[delivery])
        much = rule.spare - kept
        if self._free(delivery) > much * _SPREAD_FROM:
            usual = rule.seconds / much * (writing + _ROOM)
            seconds = min(usual, max(SOON_SECONDS, usual / _SOONER))
        else:
            seconds = (writing + _ROOM) * self._budget.lasting(WRITES[delivery], kept)
        return max(LEAST_SECONDS, seconds)

    def _ways(self, wanted: Delivery) -> tuple[Delivery, ...]:
        """Which ways are to be tried, the best first."""
        if wanted is Delivery.EDITS:
            return (Delivery.EDITS,)
        by_stream, by_edits = (
            self._share(way, self._writing(way) + 1) for way in (Delivery.STREAM, Delivery.EDITS)
        )
        if by_stream > max(_SELDOM_SECONDS, by_edits):
            return (Delivery.EDITS, Delivery.STREAM)
        return (Delivery.STREAM, Delivery.EDITS)

    def _share(self, delivery: Delivery, writing: int) -> float:
        rule = self._budget.rule(WRITES[delivery])
        return rule.seconds / rule.spare * writing

    def _free(self, delivery: Delivery) -> int:
        """How many calls are left, but for the ends of what has begun."""
        return self._budget.left(WRITES[delivery]) - self._kept(delivery)

    def _kept(self, delivery: Delivery) -> int:
        return self._writing(delivery) if WRITES[delivery] == ENDS[delivery] else 0

    def _writing(self, delivery: Delivery) -> int:
        return sum(writer.delivery is delivery for writer in self._begun)
