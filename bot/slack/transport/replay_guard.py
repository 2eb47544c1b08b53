"""Signed requests that come again: whoever has caught one may send it as often as they like while
its signature is good. Each is taken once.

What goes on record is done once anyway, whoever repeats it (by its event, its message, its press);
this is for what does not, a stop or an edit, and spares the rest the work. Slack signs each of its
own repeats anew.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_SIGNATURES: Final = 50_000
"""So many are remembered: at Slack's most, 30,000 events an hour, ten times what can be good."""


class SeenState(Enum):
    """What is known of a request."""

    NEW = "nothing"
    IN_PROGRESS = "under way"
    ACCEPTED = "taken"


class ReplayGuard:
    """Remembers requests by their signatures, for as long as these are good."""

    def __init__(self, valid_seconds: float) -> None:
        """`good_seconds`: how long before and after its own time a signature is good."""
        self._valid_seconds = valid_seconds
        self._accepted: dict[str, float] = {}
        self._in_progress: set[str] = set()

    def start_request(self, signature: str, now: float) -> SeenState:
        """Note that a request is under way, unless it is one that came before; which it is."""
        if signature in self._in_progress:
            return SeenState.IN_PROGRESS
        if self._accepted.get(signature, now) > now:
            return SeenState.ACCEPTED
        self._in_progress.add(signature)
        return SeenState.NEW

    def finish_request(self, signature: str, now: float, *, accepted: bool) -> None:
        """A request that was begun is through; what was not taken may come again."""
        self._in_progress.discard(signature)
        if not accepted:
            return
        while self._accepted and (
            len(self._accepted) >= MAX_SIGNATURES or next(iter(self._accepted.values())) <= now
        ):
            del self._accepted[next(iter(self._accepted))]
        self._accepted.pop(signature, None)  # so that those that end first stand first
        # A request may say that it is as late as that, and is good as long again.
        self._accepted[signature] = now + 2 * self._valid_seconds
