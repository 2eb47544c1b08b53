"""Defines token usage and its sums."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UsageGrouping(StrEnum):
    """What usage is summed by."""

    THREAD = "thread"
    USER = "me"
    CHANNEL = "channel"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The usage of one thread, user, channel or model."""

    key: str
    """`team/channel/root_ts`, a user id, a channel id, or the name of a model (empty if
    unknown)."""
    turns: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """What the answer to a turn cost."""

    model: str = ""
    """The model that answered; empty if unknown."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    context_tokens: int = 0
    """Tokens of the model's context used by the last call; 0: unknown, like `context_limit`."""
    context_limit: int = 0
