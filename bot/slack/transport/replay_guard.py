"""Signed requests that come again: whoever has caught one may send it as often as they like while
its signature is good. Each is taken once.

What goes on record is done once anyway, whoever repeats it (by its event, its message, its press);
this is for what does not, a stop or an edit, and spares the rest the work. Slack signs each of its
own repeats anew.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MOST: Final = 50_000
"""So many are remembered: at Slack's most, 30,000 events an hour, ten times what can be good."""


class Known(Enum):
    """What is known of a request."""

    NOTHING = "nothing"
    UNDER_WAY = "under way"
    TAKEN = "taken"


class Replays:
    """Remembers requests by their signatures, for as long as these are good."""

    def __init__(self, good_seconds: float) -> None:
        """`good_seconds`: how long before and after its own time a signature is good."""
        self._good_seconds = good_seconds
        self._taken: dict[str, float] = {}
        self._under_way: set[str] = set()

    def begin(self, signature: str, now: float) -> Known:
        """Note that a request is under way, unless it is one that came before; which it is."""
        if signature in self._under_way:
            return Known.UNDER_WAY
        if self._taken.get(signature, now) > now:
            return Known.TAKEN
        self._under_way.add(signature)
        return Known.NOTHING

    def end(self, signature: str, now: float, *, taken: bool) -> None:
        """A request that was begun is through; what was not taken may come again."""
        self._under_way.discard(signature)
        if not taken:
            return
        while self._taken and (len(self._taken) >= MOST or next(iter(self._taken.values())) <= now):
            del self._taken[next(iter(self._taken))]
        self._taken.pop(signature, None)  # so that those that end first stand first
        # A request may say that it is as late as that, and is good as long again.
        self._taken[signature] = now + 2 * self._good_seconds
