"""Detects replayed requests: each signed request is accepted once while its signature is valid.

Recorded work is done once anyway, by its event, message or press. This guards the rest, a stop or
an edit, and saves the work for the others. Slack signs each of its own retries again, so they are
not affected.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_SIGNATURES: Final = 50_000
"""Maximum number of stored signatures. Slack sends at most 30,000 events an hour: this is ten times
the number that can be valid."""


class SeenState(Enum):
    """The state of a request with a known signature, or a new one."""

    NEW = "nothing"
    IN_PROGRESS = "under way"
    ACCEPTED = "taken"


class ReplayGuard:
    """Stores the signatures of requests while they are valid."""

    def __init__(self, valid_seconds: float) -> None:
        """`valid_seconds` is the time before and after its timestamp for which a signature is
        valid."""
        self._valid_seconds = valid_seconds
        self._accepted: dict[str, float] = {}
        self._in_progress: set[str] = set()

    def start_request(self, signature: str, now: float) -> SeenState:
        """Store the request as in progress, unless it was received before. Returns which of them
        it is."""
        if signature in self._in_progress:
            return SeenState.IN_PROGRESS
        if self._accepted.get(signature, now) > now:
            return SeenState.ACCEPTED
        self._in_progress.add(signature)
        return SeenState.NEW

    def finish_request(self, signature: str, now: float, *, accepted: bool) -> None:
        """End a request that was started; one that was not accepted may be sent again."""
        self._in_progress.discard(signature)
        if not accepted:
            return
        while self._accepted and (
            len(self._accepted) >= MAX_SIGNATURES or next(iter(self._accepted.values())) <= now
        ):
            del self._accepted[next(iter(self._accepted))]
        self._accepted.pop(signature, None)  # keeps the order by time of expiry
        # A timestamp may lie that far in the future, and the signature is valid as long after it.
        self._accepted[signature] = now + 2 * self._valid_seconds
