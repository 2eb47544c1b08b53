"""Decides how often replies write, and by which delivery, within Slack's rate limits.

Slack counts by the minute (`bot.slack.api.rate_limiter`), and most answers end sooner. So while
many of the minute's calls are left, a reply shows new text every two seconds. If so many replies
write that this would not last for twenty seconds, the interval is as long as needed.

Once a fifth is left, it is spread over the replies, until more calls come back. A reply that writes
for minutes so reaches the usual pace: the minute's calls divided by the replies. It never stops
until a minute is over.

All replies use the same numbers. If there are fewer calls than replies that want one, the reply
that has waited longest goes first. So each writes equally often, with any amount of text.

A message starts only if a call is left for its end, in addition to those for the ends of all
others. Streams and edits are counted separately. If there are so many streams that each would write
seldom, and edits are available more often, the next reply comes by edits.

Only the rate limiter makes sure that no minute has too many calls.
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
"""The method that adds text to a message."""
END_METHODS: Final[Mapping[Delivery, str]] = {
    Delivery.STREAM: "chat.stopStream",
    Delivery.EDITS: "chat.update",
}
"""The method that ends a message."""

MIN_INTERVAL_SECONDS: Final = 0.25
"""Minimum interval in seconds: no user reads faster, even if Slack allows more."""
TARGET_INTERVAL_SECONDS: Final = 1.75
"""Interval in seconds. Together with the call itself it is below two: a user does not take that for
a halt."""

_SLOW_INTERVAL_SECONDS: Final = 2 * TARGET_INTERVAL_SECONDS
"""Interval in seconds above which streams are too slow to be the only delivery."""
_MAX_SPEEDUP: Final = 3.0
"""Maximum factor by which replies write more often than usual, while many calls are left."""
_SPREAD_THRESHOLD: Final = 1 / 5
"""Fraction of the minute's calls. When no more are left, they are spread."""
_HEADROOM: Final = 1 / 16
"""Fraction of a reply's share that is left for the next reply."""
_EPSILON_SECONDS: Final = 1e-6


class PacedReply(Protocol):
    """What the pacer needs to know about a reply."""

    @property
    def delivery(self) -> Delivery:
        """The delivery, which may change while the reply is written."""
        ...


@dataclass(slots=True)
class _ActiveReply:
    """A reply that has started a message."""

    last_write: float
    """When it last wrote, on the clock's `monotonic`."""
    is_waiting: bool = False
    """Whether it would write now, if more calls were left."""


class Pacer:
    """Paces all replies of the workspace."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock) -> None:
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._active: dict[PacedReply, _ActiveReply] = {}

    def begin_message(self, reply: PacedReply, preferred: Delivery) -> Delivery | None:
        """The delivery of a reply's next message. None if it has to wait, because no call is left
        for its end. (A message that is posted complete needs none.)"""
        self.unregister(reply)
        for delivery in self._preferred_deliveries(preferred):
            if self._rate_limiter.optional_tokens(END_METHODS[delivery]) > self._active_count(
                delivery
            ):
                self.register(reply)
                return delivery
        return None

    def register(self, reply: PacedReply) -> None:
        """Add a reply with a message that will get more text."""
        self._active[reply] = _ActiveReply(self._clock.monotonic())

    def unregister(self, reply: PacedReply) -> None:
        """Remove a reply that has ended."""
        self._active.pop(reply, None)

    def reserve_write(self, reply: PacedReply) -> float:
        """Reserve a write. Returns 0.0 if the reply may write now, otherwise the seconds until it
        may ask again. A reply that has not started may always try."""
        active = self._active.get(reply)
        if active is None:
            return 0.0
        delivery, now = reply.delivery, self._clock.monotonic()
        remaining = active.last_write + self._write_interval(delivery) - now
        active.is_waiting = remaining <= _EPSILON_SECONDS
        if not active.is_waiting:
            return min(TARGET_INTERVAL_SECONDS, remaining)
        ahead = sum(
            each.is_waiting and each.last_write < active.last_write and other.delivery is delivery
            for other, each in self._active.items()
        )
        if ahead >= self._available_calls(delivery):
            return self.poll_interval(delivery)
        self._active[reply] = _ActiveReply(now)
        return 0.0

    def poll_interval(self, delivery: Delivery) -> float:
        """Interval in seconds at which a reply checks its text."""
        return min(TARGET_INTERVAL_SECONDS, self._write_interval(delivery))

    @property
    def has_available_edits(self) -> bool:
        """True if more edits are left than the ends of the started messages need."""
        return self._available_calls(Delivery.EDITS) > 0

    def _write_interval(self, delivery: Delivery) -> float:
        """Interval in seconds between two writes of a reply."""
        active_count, reserved = (
            max(1, self._active_count(delivery)),
            self._reserved_calls(delivery),
        )
        limit = self._rate_limiter.limit_for(WRITE_METHODS[delivery])
        available = limit.optional_calls - reserved
        if self._available_calls(delivery) > available * _SPREAD_THRESHOLD:
            usual = limit.seconds / available * (active_count + _HEADROOM)
            seconds = min(usual, max(TARGET_INTERVAL_SECONDS, usual / _MAX_SPEEDUP))
        else:
            seconds = (active_count + _HEADROOM) * self._rate_limiter.sustainable_interval(
                WRITE_METHODS[delivery], reserved
            )
        return max(MIN_INTERVAL_SECONDS, seconds)

    def _preferred_deliveries(self, preferred: Delivery) -> tuple[Delivery, ...]:
        """The deliveries to try, the best first."""
        if preferred is Delivery.EDITS:
            return (Delivery.EDITS,)
        by_stream, by_edits = (
            self._usual_interval(delivery, self._active_count(delivery) + 1)
            for delivery in (Delivery.STREAM, Delivery.EDITS)
        )
        if by_stream > max(_SLOW_INTERVAL_SECONDS, by_edits):
            return (Delivery.EDITS, Delivery.STREAM)
        return (Delivery.STREAM, Delivery.EDITS)

    def _usual_interval(self, delivery: Delivery, active_count: int) -> float:
        limit = self._rate_limiter.limit_for(WRITE_METHODS[delivery])
        return limit.seconds / limit.optional_calls * active_count

    def _available_calls(self, delivery: Delivery) -> int:
        """Number of calls that are left, without the ends of the started messages."""
        return self._rate_limiter.optional_tokens(WRITE_METHODS[delivery]) - self._reserved_calls(
            delivery
        )

    def _reserved_calls(self, delivery: Delivery) -> int:
        return (
            self._active_count(delivery) if WRITE_METHODS[delivery] == END_METHODS[delivery] else 0
        )

    def _active_count(self, delivery: Delivery) -> int:
        return sum(reply.delivery is delivery for reply in self._active)
