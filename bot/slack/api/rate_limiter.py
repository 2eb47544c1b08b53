"""The workspace's calls to Slack, counted by method and shared fairly by all threads.

Slack counts the calls of an app in a workspace, whichever thread they are for. So there is one
bucket of tokens for each method: a call takes one, and it comes back when Slack's minute is over.
Slack saying that there were too many empties the bucket for everybody, for as long as it says.

Where there is no token, a call that can be left out is left out, and the others wait: first what
ends an answer or answers a person, then the rest, one of each thread in turn. (What can be left out
is shared by `bot.slack.replies.pacer`: every reply writes equally often.)
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
from bot.tasks import set_or_past

MOST_WAITING: Final = 1_000
"""So many calls wait at once, all methods together; one more is refused."""
LONGEST_CLOSED: Final = 300.0
"""Seconds for which Slack's word is taken that there were too many; then it is asked again."""
LATE_SECONDS: Final = 0.25
"""So many seconds one call may be longer on its way than another: Slack counts them when they
arrive, so a token comes back that much later."""

_MOST_BUCKETS: Final = 1_000
"""With more channels than that, the buckets that are full are forgotten."""
_AT_ONCE: Final = 1e-6
"""No pause is shorter: what is left of one when its sleep has ended is rounding."""


class Urgency(IntEnum):
    """Who goes first where calls have to wait."""

    FIRST = 0
    """Ends an answer, or answers a person."""
    USUAL = 1
    SPARE = 2
    """Can be left out: never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants to call what."""

    method: str
    """Slack's name of it. `KeyError` where `bot.slack.api.rate_limiter` does not know it."""
    channel: str = ""
    thread: str = ""
    """What it is called for; those of one thread wait one after another."""
    urgency: Urgency = Urgency.USUAL


@dataclass(eq=False, slots=True)
class _Waiting:
    """A call that waits, and what tells it to look again."""

    claim: Claim
    look: asyncio.Event = field(default_factory=asyncio.Event)


class _Line:
    """Those that wait for one bucket."""

    def __init__(self) -> None:
        self._threads: dict[Urgency, OrderedDict[str, deque[_Waiting]]] = {
            urgency: OrderedDict() for urgency in Urgency
        }

    @property
    def first(self) -> _Waiting | None:
        for threads in self._threads.values():
            for waiting in threads.values():
                return waiting[0]
        return None

    def join(self, waiting: _Waiting) -> None:
        threads = self._threads[waiting.claim.urgency]
        threads.setdefault(waiting.claim.thread, deque()).append(waiting)

    def leave(self, waiting: _Waiting) -> None:
        """Go, served or not; the thread's next call is behind those of the other threads."""
        threads = self._threads[waiting.claim.urgency]
        of_thread = threads.pop(waiting.claim.thread)
        of_thread.remove(waiting)
        if of_thread:
            threads[waiting.claim.thread] = of_thread
        if self.first is not None:
            self.first.look.set()


class _Bucket:
    """The tokens of one method, or of one method in one channel."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._seconds = rule.seconds + LATE_SECONDS
        self._taken: deque[float] = deque(maxlen=rule.calls)
        self._closed_until = 0.0
        self.line = _Line()

    def pause(self, now: float) -> float:
        """Seconds until there is a token."""
        pause = self._closed_until - now
        if self._used(now) == self._rule.calls:
            pause = max(pause, self._taken[0] + self._seconds - now)
        return pause if pause > _AT_ONCE else 0.0

    def close(self, until: float) -> None:
        self._closed_until = max(self._closed_until, until)

    def take(self, now: float) -> None:
        self._taken.append(now)

    def can_spare(self, now: float) -> bool:
        """Whether there is a token for a call that can be left out."""
        return self.line.first is None and self.pause(now) == 0 and self.left(now) > 0

    def left(self, now: float) -> int:
        """How many calls that can be left out there are tokens for."""
        return max(0, self._rule.spare - self._used(now))

    def lasting(self, now: float, kept: int) -> float:
        """Seconds from one such call to the next at which what is left now, but for `kept`, and
        what comes back lasts: then there is a token for each of them, whatever went before."""
        room = self._rule.spare - kept
        if room <= 0:
            return self._seconds
        left = room - self._used(now)
        paces = [
            (at + self._seconds - now) / (left + back)
            for back, at in enumerate(self._taken, 1)
            if left + back > 0
        ]
        return max([self._seconds / room, *paces])

    def _used(self, now: float) -> int:
        while self._taken and now - self._taken[0] >= self._seconds - _AT_ONCE:
            self._taken.popleft()
        return len(self._taken)

    def idle(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        return not self._used(now) and self.line.first is None and self._closed_until <= now


class Budget:
    """One for the workspace: whoever calls Slack takes from it first."""

    def __init__(self, clock: Clock, times: int = 1) -> None:
        """`times` as much is taken as Slack says in public."""
        self._clock = clock
        self._rules = {method: rule.times(times) for method, rule in RULES.items()}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._waiting = 0

    @property
    def buckets(self) -> int:
        """How many are kept."""
        return len(self._buckets)

    async def take(self, claim: Claim, until: float) -> float:
        """Take a token, waiting for it until the clock's `monotonic` is at `until`.

        0.0 when the call may be made; else there is none by then, or too much waits already: the
        seconds after which there may be one.
        """
        bucket, now = self._bucket(claim), self._clock.monotonic()
        if claim.urgency is Urgency.SPARE:
            free = bucket.can_spare(now)
        else:
            free = bucket.line.first is None and bucket.pause(now) == 0
        if free:
            bucket.take(now)
            return 0.0
        if claim.urgency is Urgency.SPARE or self._waiting >= MOST_WAITING:
            return max(bucket.pause(now), 1.0)
        self._waiting += 1
        try:
            return await self._wait(bucket, claim, until)
        finally:
            self._waiting -= 1

    def rule(self, method: str) -> Rule:
        """How many calls of a method are taken."""
        return self._rules[method]

    def left(self, method: str) -> int:
        """How many calls of a method that can be left out there are tokens for."""
        return self._bucket(Claim(method=method)).left(self._clock.monotonic())

    def lasting(self, method: str, kept: int) -> float:
        """Seconds from one such call to the next at which the tokens last but for `kept`, with
        what comes back as Slack's minute goes on."""
        return self._bucket(Claim(method=method)).lasting(self._clock.monotonic(), kept)

    def close(self, claim: Claim, seconds: float) -> None:
        """Slack says that there were too many: nobody calls this for so many seconds."""
        seconds = min(max(seconds, 0.1), LONGEST_CLOSED)
        self._bucket(claim).close(self._clock.monotonic() + seconds)

    async def _wait(self, bucket: _Bucket, claim: Claim, until: float) -> float:
        waiting = _Waiting(claim)
        bucket.line.join(waiting)
        try:
            while True:
                now = self._clock.monotonic()
                pause, mine = bucket.pause(now), bucket.line.first is waiting
                if mine and pause == 0:
                    bucket.take(now)
                    return 0.0
                if now + pause >= until:
                    return max(pause, 1.0)
                waiting.look.clear()
                left = until - now
                await set_or_past(waiting.look, self._clock, min(left, pause) if mine else left)
        finally:
            bucket.line.leave(waiting)

    def _bucket(self, claim: Claim) -> _Bucket:
        rule = self.rule(claim.method)
        key = (claim.method, claim.channel if rule.per_channel else "")
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._forget_idle()
            bucket = self._buckets[key] = _Bucket(rule)
        return bucket

    def _forget_idle(self) -> None:
        now = self._clock.monotonic()
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if not bucket.idle(now)
        }


_SPARE_SHARE: Final = 0.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float = 60.0
    per_channel: bool = False
    """Whether Slack counts each channel by itself."""

    @property
    def spare(self) -> int:
        """How many of them may be calls that can be left out; the others are kept for those that
        cannot."""
        return int(self.calls * _SPARE_SHARE)

    def times(self, more: int) -> Rule:
        """The same where Slack takes so many times as much (SLACK_LIMITS)."""
        return replace(self, calls=self.calls * more)


_TIER_2: Final = Rule(calls=20)


_TIER_3: Final = Rule(calls=50)


_TIER_4: Final = Rule(calls=100)


_PLENTY: Final = Rule(calls=600)


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "agents.sessions.rename": _TIER_3,
        "agents.sessions.setStatus": _TIER_3,
        "assistant.threads.setStatus": Rule(calls=60, per_channel=True),
        "assistant.threads.setSuggestedPrompts": _TIER_3,
        "auth.test": _PLENTY,
        "chat.appendStream": _TIER_4,
        "chat.delete": _TIER_3,
        "chat.getPermalink": _PLENTY,
        "chat.postEphemeral": _TIER_4,
        # One a second, with short bursts. So no minute has more than 60, and none is waited for
        # long after a burst.
        "chat.postMessage": Rule(calls=10, seconds=10.0, per_channel=True),
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
        "reactions.remove": _TIER_2,  # fewer than are added: what is marked waits for its end
        "usergroups.users.list": _TIER_2,
        "users.conversations": _TIER_2,
        "users.info": _TIER_4,
        "views.open": _TIER_4,
        "views.publish": _TIER_4,
    }
)
