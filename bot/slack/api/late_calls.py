"""Tracks calls that Slack may still carry out although the bot no longer waits for them.

A call ends early by a timeout, a broken connection or the death of the bot. It may then take effect
after calls that were made later. So it is not certain for some time that what it set is gone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from bot.ports import Clock
from bot.slack.api.calls import SlackCallError

LATE_CALL_SECONDS: Final = 30.0
"""Seconds after which an abandoned call takes no effect any more. (No limit is documented. Slack
only says that requests take a second at most as a rule.)"""


class LateCalls:
    """Remembers what abandoned calls were about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending_until: dict[Hashable, float] = {}
        self._started_at = clock.monotonic()

    @contextmanager
    def track(self, key: Hashable) -> Iterator[None]:
        """Run a call that sets something, and record `key` if Slack may carry out the call
        later."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, SlackCallError) or error.maybe_done:
                self._record(key)
            raise

    def is_pending(self, key: Hashable) -> bool:
        """True if a call of this process may still take effect."""
        return self._clock.monotonic() < self._pending_until.get(key, float("-inf"))

    def is_expired(self, key: Hashable) -> bool:
        """True if no call of this process or of the one before may still take effect."""
        covers_start = self._clock.monotonic() >= self._started_at + LATE_CALL_SECONDS
        return covers_start and not self.is_pending(key)

    def _record(self, key: Hashable) -> None:
        now = self._clock.monotonic()
        self._pending_until = {
            pending_key: until for pending_key, until in self._pending_until.items() if until > now
        }
        self._pending_until[key] = now + LATE_CALL_SECONDS
