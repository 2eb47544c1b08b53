"""Calls that may still be carried out though nobody waits for their answers any more.

A call that was given up, by a time limit, a broken connection or the bot's death, may reach what it
is about after what was called next. So of what it sets it is not certain that it is gone before
some time has passed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from bot.ports import Clock
from bot.slack.api.calls import SlackCallError

LATE_CALL_SECONDS: Final = 30.0
"""So long after it was given up nothing comes of a call any more. (No limit is known. Slack's own
words are that requests take a second at most as a rule.)"""


class LateCalls:
    """Remembers what calls that were given up are about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending_until: dict[Hashable, float] = {}
        self._started_at = clock.monotonic()

    @contextmanager
    def track(self, key: Hashable) -> Iterator[None]:
        """For the time of a call that sets something: noted where it may be done later."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, SlackCallError) or error.maybe_done:
                self._record(key)
            raise

    def is_pending(self, key: Hashable) -> bool:
        """Whether something may still come of a call of this process."""
        return self._clock.monotonic() < self._pending_until.get(key, float("-inf"))

    def is_expired(self, key: Hashable) -> bool:
        """Whether nothing comes of a call any more, of this process or the one before."""
        dead = self._clock.monotonic() >= self._started_at + LATE_CALL_SECONDS
        return dead and not self.is_pending(key)

    def _record(self, key: Hashable) -> None:
        now = self._clock.monotonic()
        self._pending_until = {
            each: until for each, until in self._pending_until.items() if until > now
        }
        self._pending_until[key] = now + LATE_CALL_SECONDS
