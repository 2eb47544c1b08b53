"""How often a reply writes, by how many are being written: together they stay below Slack's tiers.

A reply that would write more often finds no token (`bot.slack.budget`). This is for fairness, and
for evenness: however much one of them has to say, each writes equally often and at a steady pace.
"""

from __future__ import annotations

from typing import Final

from bot.model import Delivery
from bot.slack.tiers import RULES

APPENDS: Final = RULES["chat.appendStream"]
EDITS: Final = RULES["chat.update"]

_ROOM: Final = 1 / 16
"""Of a reply's share: left for who comes next."""


LEAST_SECONDS: Final = 0.25
"""Nobody reads faster than that, however much Slack takes."""


class Pace:
    """One for the workspace, shared by all its replies."""

    def __init__(self, times: int = 1) -> None:
        """Slack takes `times` as many calls as it says in public."""
        self._appends = APPENDS.times(times)
        self._edits = EDITS.times(times)
        self._writing = 0

    def join(self) -> None:
        """One more reply is being written."""
        self._writing += 1

    def leave(self) -> None:
        """One less."""
        self._writing -= 1

    @property
    def crowded(self) -> bool:
        """Whether more replies are being written than Slack takes edits in a minute: an answer
        that is posted whole then costs one call, one that grows by edits could not be ended."""
        return self._writing > self._edits.spare

    def interval(self, delivery: Delivery) -> float:
        """Seconds that a reply waits between two looks at its text: together they take
        what Slack allows, and a little less."""
        rule = self._appends if delivery is Delivery.STREAM else self._edits
        return max(LEAST_SECONDS, rule.seconds / rule.spare * (max(1, self._writing) + _ROOM))
