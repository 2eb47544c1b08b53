"""What was used, added up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UsageBy(StrEnum):
    """What usage is added up by."""

    THREAD = "thread"
    PERSON = "me"
    CHANNEL = "channel"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one thread, person, channel or model used."""

    name: str
    """`team/channel/root_ts`, a user id, a channel id, or a model's name ("" where unknown)."""
    turns: int
    input_tokens: int
    output_tokens: int
