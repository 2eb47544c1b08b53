"""Limits the calls to Slack by method and shares them fairly between threads.

Slack counts the calls of an app in a workspace, for all its threads together. So each method has
one bucket of tokens. A call takes a token, which comes back when Slack's minute is over. A rate
limit error of Slack blocks the bucket for all callers, for as long as Slack says.

If there is no token, an optional call is refused and the others wait. First come the calls that end
an answer or respond to a user, then the rest, one of each thread in turn.
(`bot.slack.replies.pacer` shares the optional calls: every reply writes equally often.)
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from bot.ports import Clock
from bot.tasks import wait_for_event

MAX_WAITING_CALLS: Final = 1_000
"""Maximum number of calls that wait at once, for all methods together. Further calls are
refused."""
MAX_RETRY_AFTER_SECONDS: Final = 300.0
"""Maximum number of seconds for which a rate limit error blocks a method. Then it is tried
again."""
ARRIVAL_JITTER_SECONDS: Final = 0.25
"""Maximum difference in seconds between the travel times of two calls. Slack counts calls when they
arrive, so a token comes back that much later."""

_MAX_BUCKETS: Final = 1_000
"""Maximum number of buckets that are kept. Beyond it, the idle buckets of channels are dropped."""
_EPSILON_SECONDS: Final = 1e-6
"""Minimum pause in seconds. What is left of a pause after its sleep is a rounding error."""


class Priority(IntEnum):
    """The order of waiting calls."""

    HIGH = 0
    """Ends an answer, or responds to a user."""
    NORMAL = 1
    OPTIONAL = 2
    """Never waits: it may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRequest:
    """A call that asks for a token."""

    method: str
    """Slack's name of the method. An unknown one raises `KeyError`."""
    channel: str = ""
    thread: str = ""
    """What the call is for. Calls of one thread wait one after another."""
    priority: Priority = Priority.NORMAL


@dataclass(eq=False, slots=True)
class _Waiter:
    """A waiting call, and the event that makes it check again."""

    request: RateRequest
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class _WaitQueue:
    """The calls that wait for one bucket."""

    def __init__(self) -> None:
        self._threads: dict[Priority, OrderedDict[str, deque[_Waiter]]] = {
            priority: OrderedDict() for priority in Priority
        }

    @property
    def head(self) -> _Waiter | None:
        for threads in self._threads.values():
            for waiters in threads.values():
                return waiters[0]
        return None

    def add(self, waiter: _Waiter) -> None:
        threads = self._threads[waiter.request.priority]
        threads.setdefault(waiter.request.thread, deque()).append(waiter)

    def remove(self, waiter: _Waiter) -> None:
        """Remove a call, served or not. The thread's next call moves behind those of the other
        threads."""
        threads = self._threads[waiter.request.priority]
        waiters = threads.pop(waiter.request.thread)
        waiters.remove(waiter)
        if waiters:
            threads[waiter.request.thread] = waiters
        if self.head is not None:
            self.head.wake.set()


class _Bucket:
    """The tokens of one method, or of one method in one channel."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._seconds = limit.seconds + ARRIVAL_JITTER_SECONDS
        self._consumed_at: deque[float] = deque(maxlen=limit.calls)
        self._blocked_until = 0.0
        self.queue = _WaitQueue()

    def wait_seconds(self, now: float) -> float:
        """Seconds until there is a token; 0.0 if there is one."""
        pause = self._blocked_until - now
        if self._used_count(now) == self._limit.calls:
            pause = max(pause, self._consumed_at[0] + self._seconds - now)
        return pause if pause > _EPSILON_SECONDS else 0.0

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)

    def consume(self, now: float) -> None:
        self._consumed_at.append(now)

    def has_optional_token(self, now: float) -> bool:
        """True if there is a token for an optional call."""
        return (
            self.queue.head is None
            and self.wait_seconds(now) == 0
            and self.optional_tokens(now) > 0
        )

    def optional_tokens(self, now: float) -> int:
        """Number of tokens for optional calls."""
        return max(0, self._limit.optional_calls - self._used_count(now))

    def sustainable_interval(self, now: float, reserved: int) -> float:
        """Interval in seconds between optional calls at which the tokens never run out.

        It counts the tokens that are left now, without `reserved`, and those that come back. It
        holds for any calls made before.
        """
        available = self._limit.optional_calls - reserved
        if available <= 0:
            return self._seconds
        left = available - self._used_count(now)
        intervals = [
            (at + self._seconds - now) / (left + returned)
            for returned, at in enumerate(self._consumed_at, 1)
            if left + returned > 0
        ]
        return max([self._seconds / available, *intervals])

    def _used_count(self, now: float) -> int:
        while self._consumed_at and now - self._consumed_at[0] >= self._seconds - _EPSILON_SECONDS:
            self._consumed_at.popleft()
        return len(self._consumed_at)

    def is_idle(self, now: float) -> bool:
        """True if the bucket is equal to a new one."""
        return not self._used_count(now) and self.queue.head is None and self._blocked_until <= now


class RateLimiter:
    """Limits all calls of the workspace: each call takes a token first."""

    def __init__(self, clock: Clock, rate_multiplier: int = 1) -> None:
        """`rate_multiplier`: Slack allows this many times its documented rates."""
        self._clock = clock
        self._limits = {
            method: limit.scaled(rate_multiplier) for method, limit in RATE_LIMITS.items()
        }
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._waiting_count = 0

    @property
    def bucket_count(self) -> int:
        """Number of buckets that are kept."""
        return len(self._buckets)

    async def acquire(self, request: RateRequest, deadline: float) -> float:
        """Take a token, waiting for it until the clock's `monotonic` reaches `deadline`.

        Returns 0.0 if the call may be made. Otherwise there is no token by then, or too many calls
        wait: returns the seconds after which there may be one.
        """
        bucket, now = self._bucket_for(request), self._clock.monotonic()
        if request.priority is Priority.OPTIONAL:
            free = bucket.has_optional_token(now)
        else:
            free = bucket.queue.head is None and bucket.wait_seconds(now) == 0
        if free:
            bucket.consume(now)
            return 0.0
        if request.priority is Priority.OPTIONAL or self._waiting_count >= MAX_WAITING_CALLS:
            return max(bucket.wait_seconds(now), 1.0)
        self._waiting_count += 1
        try:
            return await self._wait(bucket, request, deadline)
        finally:
            self._waiting_count -= 1

    def limit_for(self, method: str) -> RateLimit:
        """The rate limit of a method."""
        return self._limits[method]

    def optional_tokens(self, method: str) -> int:
        """Number of tokens for optional calls of a method."""
        return self._bucket_for(RateRequest(method=method)).optional_tokens(self._clock.monotonic())

    def sustainable_interval(self, method: str, reserved: int) -> float:
        """Interval in seconds between optional calls of a method at which its tokens last, except
        for `reserved`. It includes the tokens that come back as Slack's minute goes on."""
        return self._bucket_for(RateRequest(method=method)).sustainable_interval(
            self._clock.monotonic(), reserved
        )

    def block(self, request: RateRequest, seconds: float) -> None:
        """Block a method for some seconds, after a rate limit error of Slack."""
        seconds = min(max(seconds, 0.1), MAX_RETRY_AFTER_SECONDS)
        self._bucket_for(request).block(self._clock.monotonic() + seconds)

    async def _wait(self, bucket: _Bucket, request: RateRequest, deadline: float) -> float:
        waiter = _Waiter(request)
        bucket.queue.add(waiter)
        try:
            while True:
                now = self._clock.monotonic()
                pause, is_first = bucket.wait_seconds(now), bucket.queue.head is waiter
                if is_first and pause == 0:
                    bucket.consume(now)
                    return 0.0
                if now + pause >= deadline:
                    return max(pause, 1.0)
                waiter.wake.clear()
                remaining = deadline - now
                await wait_for_event(
                    waiter.wake, self._clock, min(remaining, pause) if is_first else remaining
                )
        finally:
            bucket.queue.remove(waiter)

    def _bucket_for(self, request: RateRequest) -> _Bucket:
        limit = self.limit_for(request.method)
        key = (request.method, request.channel if limit.per_channel else "")
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._drop_idle_buckets()
            bucket = self._buckets[key] = _Bucket(limit)
        return bucket

    def _drop_idle_buckets(self) -> None:
        now = self._clock.monotonic()
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if not bucket.is_idle(now)
        }


_OPTIONAL_SHARE: Final = 0.96


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float = 60.0
    per_channel: bool = False
    """Whether Slack counts each channel separately."""

    @property
    def optional_calls(self) -> int:
        """Number of calls that may be optional. The rest is kept for the others."""
        return int(self.calls * _OPTIONAL_SHARE)

    def scaled(self, factor: int) -> RateLimit:
        """The same limit where Slack allows `factor` times as many calls (SLACK_LIMITS)."""
        return replace(self, calls=self.calls * factor)


_TIER_2: Final = RateLimit(calls=20)


_TIER_3: Final = RateLimit(calls=50)


_TIER_4: Final = RateLimit(calls=100)


_SPECIAL_TIER: Final = RateLimit(calls=600)


RATE_LIMITS: Final[Mapping[str, RateLimit]] = MappingProxyType(
    {
        "agents.sessions.rename": _TIER_3,
        "agents.sessions.setStatus": _TIER_3,
        "assistant.threads.setStatus": RateLimit(calls=60, per_channel=True),
        "assistant.threads.setSuggestedPrompts": _TIER_3,
        "auth.test": _SPECIAL_TIER,
        "chat.appendStream": _TIER_4,
        "chat.delete": _TIER_3,
        "chat.getPermalink": _SPECIAL_TIER,
        "chat.postEphemeral": _TIER_4,
        # One a second, with short bursts: so no minute has more than 60, and the wait after a burst
        # is short.
        "chat.postMessage": RateLimit(calls=10, seconds=10.0, per_channel=True),
        "chat.startStream": _TIER_2,
        "chat.stopStream": _TIER_2,
        "chat.update": _TIER_3,
        "conversations.history": _TIER_3,
        "conversations.info": _TIER_3,
        "conversations.members": _TIER_4,
        "conversations.open": _TIER_3,
        "conversations.replies": _TIER_3,
        "files.completeUploadExternal": _TIER_4,
        "files.getUploadURLExternal": _TIER_4,
        "reactions.add": _TIER_3,
        "reactions.remove": _TIER_2,  # fewer than are added: a mark waits for its answer's end
        "usergroups.users.list": _TIER_2,
        "users.conversations": _TIER_2,
        "users.info": _TIER_4,
        "views.open": _TIER_4,
        "views.publish": _TIER_4,
    }
)
