"""Defines the events of a session while it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The model generated more text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRetracted:
    """The model call failed midway and is retried. Its text since the last `TextComplete` does not
    count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextComplete:
    """One message of the model is complete; `text` is all of it.

    One prompt may have several: one per model call.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensUsed:
    """The cost of one model call. A prompt's cost is the sum of its calls."""

    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAccepted:
    """The prompt is in the session's history under `event_id`. Sent once, before any text."""

    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsage:
    """How full the model's context is, in tokens. The last one counts."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStopped:
    """The answer ended because a user stopped it. Always the last event if it is sent."""


AgentEvent = (
    TextDelta
    | TextRetracted
    | TextComplete
    | TokensUsed
    | PromptAccepted
    | ContextUsage
    | AnswerStopped
)
