"""Defines preferences, their kinds and their scopes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a preference applies to. The scope id is, in this order: the team, a channel, a thread
    (`str(ThreadKey)`), a user."""

    WORKSPACE = "workspace"
    CHANNEL = "channel"
    THREAD = "thread"
    USER = "person"


class PreferenceKind(StrEnum):
    """What can be set."""

    MODEL = "model"
    EFFORT = "effort"
    VERBOSITY = "verbosity"
    QUIET = "quiet"
    BLOCKED = "blocked"
    QUOTA = "quota"
    """Turns per day."""
    PAUSED = "paused"


ENABLED: Final = "yes"
"""The value of a preference that is only on or off: quiet, blocked, paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A setting of a workspace, channel, thread or user."""

    scope: Scope
    scope_id: str
    kind: PreferenceKind
    value: str
    set_by: str
    set_at: float
