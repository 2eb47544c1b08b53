"""What people chose, for whom it counts, and what of it can be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """For whom something was chosen. The holder is, in this order: the team, a channel, a thread
    (`str(ThreadKey)`), a user."""

    WORKSPACE = "workspace"
    CHANNEL = "channel"
    THREAD = "thread"
    USER = "person"


class PreferenceKind(StrEnum):
    """What can be chosen."""

    MODEL = "model"
    EFFORT = "effort"
    VERBOSITY = "verbosity"
    QUIET = "quiet"
    BLOCKED = "blocked"
    QUOTA = "quota"
    """Turns a day."""
    PAUSED = "paused"


ENABLED: Final = "yes"
"""The value of a choice that is made or not: quiet, blocked, paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Something that somebody chose."""

    scope: Scope
    scope_id: str
    kind: PreferenceKind
    value: str
    set_by: str
    set_at: float
