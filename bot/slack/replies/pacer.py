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
from bot.slack.api.rate_limiter import RateLimiter

WRITE_METHODS: Final[Mapping[Delivery, str]] = {
    Delivery.STREAM: "chat.appendStream",
    Delivery.EDITS: "chat.update",
}
"""What lets a message say more."""
END_METHODS: Final[Mapping[Delivery, str]] = {
    Delivery.STREAM: "chat.stopStream",
    Delivery.EDITS: "chat.update",
}
"""What one ends by."""

MIN_INTERVAL_SECONDS: Final = 0.25
"""Nobody reads faster than that, however much Slack takes."""
TARGET_INTERVAL_SECONDS: Final = 1.75
"""With the call itself less than two: so far behind nobody takes it for standing still."""

_SLOW_INTERVAL_SECONDS: Final = 2 * TARGET_INTERVAL_SECONDS
"""Streams that usually write no more often than that are not the only way."""
_MAX_SPEEDUP: Final = 3.0
"""So much more often than usual is written at most, while there is much left."""
_SPREAD_THRESHOLD: Final = 1 / 5
"""Of the minute's calls: when no more are left, they are spread."""
_HEADROOM: Final = 1 / 16
"""Of a reply's share: left for who comes next."""
_EPSILON_SECONDS: Final = 1e-6


class PacedReply(Protocol):
    """A reply, as far as it matters here."""

    @property
    def delivery(self) -> Delivery:
        """Its way, which may change while it is written."""
        ...


@dataclass(slots=True)
class _ActiveReply:
    """A reply that has begun a message."""

    last_write: float
    """When it wrote last, on the clock's `monotonic`."""
    is_waiting: bool = False
    """Whether it would write now, if there were more calls left."""


class Pacer:
    """One for the workspace, shared by all its replies."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock) -> None:
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._active: dict[PacedReply, _ActiveReply] = {}

    def begin_message(self, reply: PacedReply, preferred: Delivery) -> Delivery | None:
        """The way by which a reply's next message is to be begun now; None for not yet: there is
        no call left for its end. (One that is posted when it is complete needs none.)"""
        self.unregister(reply)
        for way in self._preferred_deliveries(preferred):
            if self._rate_limiter.optional_tokens(END_METHODS[way]) > self._active_count(way):
                self.register(reply)
                return way
        return None

    def register(self, reply: PacedReply) -> None:
        """The reply has a message that is to say more."""
        self._active[reply] = _ActiveReply(self._clock.monotonic())

    def unregister(self, reply: PacedReply) -> None:
        """The reply has ended."""
        self._active.pop(reply, None)

    def reserve_write(self, reply: PacedReply) -> float:
        """0.0 when it is the reply's turn to write: then it is taken to do so. Else the seconds
        after which it is to ask again. One that has not begun may always try to."""
        mine = self._active.get(reply)
        if mine is None:
            return 0.0
        way, now = reply.delivery, self._clock.monotonic()
        left = mine.last_write + self._write_interval(way) - now
        mine.is_waiting = left <= _EPSILON_SECONDS
        if not mine.is_waiting:
            return min(TARGET_INTERVAL_SECONDS, left)
        before = sum(
            each.is_waiting and each.last_write < mine.last_write and other.delivery is way
            for other, each in self._active.items()
        )
        if before >= self._available_calls(way):
            return self.poll_interval(way)
        self._active[reply] = _ActiveReply(now)
        return 0.0

    def poll_interval(self, delivery: Delivery) -> float:
        """Seconds from one look at a reply's text to the next."""
        return min(TARGET_INTERVAL_SECONDS, self._write_interval(delivery))

    @property
    def has_available_edits(self) -> bool:
        """Whether there are edits left for more than the ends of what has begun."""
        return self._available_calls(Delivery.EDITS) > 0

    def _write_interval(self, delivery: Delivery) -> float:
        """Seconds from one time that a reply writes to the next."""
        writing, kept = max(1, self._active_count(delivery)), self._reserved_calls(delivery)
        rule = self._rate_limiter.limit_for(WRITE_METHODS[delivery])
        much = rule.optional_calls - kept
        if self._available_calls(delivery) > much * _SPREAD_THRESHOLD:
            usual = rule.seconds / much * (writing + _HEADROOM)
            seconds = min(usual, max(TARGET_INTERVAL_SECONDS, usual / _MAX_SPEEDUP))
        else:
            seconds = (writing + _HEADROOM) * self._rate_limiter.sustainable_interval(
                WRITE_METHODS[delivery], kept
            )
        return max(MIN_INTERVAL_SECONDS, seconds)

    def _preferred_deliveries(self, preferred: Delivery) -> tuple[Delivery, ...]:
        """Which ways are to be tried, the best first."""
        if preferred is Delivery.EDITS:
            return (Delivery.EDITS,)
        by_stream, by_edits = (
            self._usual_interval(way, self._active_count(way) + 1)
            for way in (Delivery.STREAM, Delivery.EDITS)
        )
        if by_stream > max(_SLOW_INTERVAL_SECONDS, by_edits):
            return (Delivery.EDITS, Delivery.STREAM)
        return (Delivery.STREAM, Delivery.EDITS)

    def _usual_interval(self, delivery: Delivery, writing: int) -> float:
        rule = self._rate_limiter.limit_for(WRITE_METHODS[delivery])
        return rule.seconds / rule.optional_calls * writing

    def _available_calls(self, delivery: Delivery) -> int:
        """How many calls are left, but for the ends of what has begun."""
        return self._rate_limiter.optional_tokens(WRITE_METHODS[delivery]) - self._reserved_calls(
            delivery
        )

    def _reserved_calls(self, delivery: Delivery) -> int:
        return (
            self._active_count(delivery) if WRITE_METHODS[delivery] == END_METHODS[delivery] else 0
        )

    def _active_count(self, delivery: Delivery) -> int:
        return sum(writer.delivery is delivery for writer in self._active)
