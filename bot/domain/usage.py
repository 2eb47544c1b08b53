"""What was used, added up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UsageGrouping(StrEnum):
    """What usage is added up by."""

    THREAD = "thread"
    USER = "me"
    CHANNEL = "channel"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one thread, person, channel or model used."""

    key: str
    """`team/channel/root_ts`, a user id, a channel id, or a model's name ("" where unknown)."""
    turns: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """What asking the model for a turn's answer cost."""

    model: str = ""
    """The model that answered; "" where that is not known."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    context_tokens: int = 0
    """What the last call took of the model's context; 0: unknown, like `context_limit`."""
    context_limit: int = 0
