"""How fast replies may write, all of them together: Slack counts a workspace's calls by method.

Slack's tiers (docs.slack.dev/apis/web-api/rate-limits), per minute: chat.startStream and
chat.stopStream 20, chat.appendStream 100, chat.update 50. Each is used a little less than full,
for the last call of a reply is made whatever the count says.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from bot.model import Delivery
from bot.ports import Clock

STARTS_A_MINUTE: Final = 18
APPENDS_A_MINUTE: Final = 90
EDITS_A_MINUTE: Final = 48

MIN_STREAM_INTERVAL: Final = 0.5
"""Seconds between two appends of a reply when it is alone."""
MIN_EDIT_INTERVAL: Final = 1.25
"""Seconds between two edits of a reply when it is alone."""


class _Minute:
    """At most `limit` times in any sixty seconds."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=limit)

    def take(self) -> bool:
        """Whether it may be done now; if so it counts as done."""
        now = self._clock.monotonic()
        if len(self._taken) == self._taken.maxlen and now - self._taken[0] < 60.0:
            return False
        self._taken.append(now)
        return True


class Pace:
    """One for the workspace, shared by all its replies."""

    def __init__(self, clock: Clock) -> None:
        self._starts = _Minute(clock, STARTS_A_MINUTE)
        self._appends = _Minute(clock, APPENDS_A_MINUTE)
        self._edits = _Minute(clock, EDITS_A_MINUTE)
        self._writing = 0

    def join(self) -> None:
        """One more reply is being written."""
        self._writing += 1

    def leave(self) -> None:
        """One less."""
        self._writing -= 1

    def may_start(self) -> bool:
        """Whether a stream may be started now; if so it counts as started."""
        return self._starts.take()

    def may_append(self) -> bool:
        return self._appends.take()

    def may_edit(self) -> bool:
        return self._edits.take()

    def interval(self, delivery: Delivery) -> float:
        """Seconds that a reply waits between two looks at its text."""
        many = max(1, self._writing)
        if delivery is Delivery.STREAM:
            return max(MIN_STREAM_INTERVAL, 60.0 / APPENDS_A_MINUTE * many)
        return max(MIN_EDIT_INTERVAL, 60.0 / EDITS_A_MINUTE * many)


async def set_or_past(event: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Wait until `event` is set or `seconds` have passed; None waits for the event alone."""
    if event.is_set():
        return
    waits = [asyncio.create_task(_happens(event))]
    if seconds is not None:
        waits.append(asyncio.create_task(_passes(clock, seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _happens(event: asyncio.Event) -> None:
    await event.wait()


async def _passes(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
