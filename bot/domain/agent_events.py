"""What a session reports while it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The model said more."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRetracted:
    """The model call failed half-way and is tried again: what it said since the last
    `TextComplete` does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextComplete:
    """One message of the model is complete; `text` is what it said, all of it.

    There may be several to one prompt: one per model call.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensUsed:
    """One model call's cost. Several to one prompt are to be added up."""

    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAccepted:
    """The prompt is in the session's history; `event` is its id there. Comes once, before text."""

    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsage:
    """How full the model's context is by now, in tokens. The last one counts."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStopped:
    """The answer ended because somebody stopped it. Always the last event when it comes."""


AgentEvent = (
    TextDelta
    | TextRetracted
    | TextComplete
    | TokensUsed
    | PromptAccepted
    | ContextUsage
    | AnswerStopped
)
