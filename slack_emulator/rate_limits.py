"""Implements Slack's rate limits: calls of a method per minute, with a burst of the same size.

Tiers: slackapi/java-slack-sdk metadata/web-api/rate_limit_tiers.json; figures:
docs.slack.dev/apis/web-api/rate-limits ("1+", "20+", "50+", "100+" per minute). Tier 1 has a burst
of a few calls, as Slack lets an app reconnect more than once in a minute.
"""

from __future__ import annotations

import math
from typing import Final

from slack_emulator.state.clock import EmulatorClock

TIER_1, TIER_2, TIER_3, TIER_4 = 1, 20, 50, 100
SPECIAL_POST: Final = 60
"""Number of chat.postMessage calls per minute and channel: one per second, with short bursts."""
SPECIAL: Final = 600

BURST_TIER_1: Final = 10
MAX_BUCKETS: Final = 10_000

PER_MINUTE: Final[dict[str, int]] = (
    dict.fromkeys(("apps.connections.open",), TIER_1)
    | dict.fromkeys(
        (
            "chat.startStream",
            "chat.stopStream",
            "conversations.list",
            "reactions.remove",  # reactions.add is of tier 3: adding is allowed more often
            "usergroups.users.list",
            "users.list",
            "users.conversations",
        ),
        TIER_2,
    )
    | dict.fromkeys(
        (
            "agents.sessions.rename",
            "agents.sessions.setStatus",
            "assistant.threads.setSuggestedPrompts",
            "assistant.threads.setTitle",
            "bots.info",
            "chat.delete",
            "chat.update",
            "conversations.history",
            "conversations.info",
            "conversations.invite",
            "conversations.join",
            "conversations.leave",
            "conversations.open",
            "conversations.replies",
            "files.delete",
            "reactions.add",
            "reactions.get",
            "team.info",
        ),
        TIER_3,
    )
    | dict.fromkeys(
        (
            "blocks.validate",
            "chat.appendStream",
            "chat.postEphemeral",
            "conversations.members",
            "files.completeUploadExternal",
            "files.getUploadURLExternal",
            "files.info",
            "users.info",
            "views.open",
            "views.publish",
            "views.push",
            "views.update",
        ),
        TIER_4,
    )
    | dict.fromkeys(("assistant.threads.setStatus", "chat.postMessage"), SPECIAL_POST)
)

_PER_CHANNEL: Final = frozenset({"assistant.threads.setStatus", "chat.postMessage"})


class RateLimits:
    """One bucket per method, or per method and channel where Slack counts so."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def acquire(self, method: str, channel: str) -> int:
        """Take one call. Returns 0 if it is allowed, else the seconds of Slack's Retry-After."""
        per_minute = PER_MINUTE.get(method, SPECIAL)
        burst = float(max(per_minute, BURST_TIER_1))
        key = (method, channel if method in _PER_CHANNEL else "")
        now = self._clock.now()
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.clear()
        left, since = self._buckets.get(key, (burst, now))
        left = min(burst, left + (now - since) * per_minute / 60)
        if left >= 1:
            self._buckets[key] = (left - 1, now)
            return 0
        self._buckets[key] = (left, now)
        return max(1, math.ceil((1 - left) * 60 / per_minute))

    def clear(self) -> None:
        """Fill all buckets."""
        self._buckets.clear()
