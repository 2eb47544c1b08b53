"""Translates the runtime's events to the bot's own, so that no other module sees an SDK event.

Each prompt has its own `EventReader`. Most events need no context, but the reason of a failure
depends on earlier events. Order and meaning of the events are measured (CLI 1.0.102).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from copilot.session_events import (
    AssistantMessageData,
    AssistantMessageDeltaData,
    AssistantTurnRetryData,
    AssistantUsageData,
    ModelCallFailureData,
    ModelCallFailureKind,
    ModelCallStartData,
    SessionErrorData,
    SessionEvent,
    SessionEventType,
    SessionIdleData,
    SessionUsageInfoData,
    UserMessageData,
)

from bot.copilot.models import kind_of_status
from bot.domain.agent_events import (
    AgentEvent,
    ContextUsage,
    PromptAccepted,
    TextComplete,
    TextDelta,
    TextRetracted,
    TokensUsed,
)
from bot.errors import AgentError, AgentErrorKind
from bot.ports import PromptIds

_TOO_LONG_CODES = frozenset(
    {"context_length_exceeded", "string_above_max_length", "request_too_large"}
)
_PROMPT_TOO_LONG = "prompt budget"
"""Part of the runtime's message when it does not send a prompt that is too long. There is no code
for it."""
_HISTORY_NOT_WRITTEN = "persist session events"
"""Part of the runtime's message when it could not write the history. The answer continues."""

_KIND_OF_ERROR_TYPE = {
    "authentication": AgentErrorKind.ACCESS,
    "authorization": AgentErrorKind.ACCESS,
    "quota": AgentErrorKind.RATE_LIMIT,
    "rate_limit": AgentErrorKind.RATE_LIMIT,
    "context_limit": AgentErrorKind.TOO_LONG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionIdle:
    """The session is idle: no more events of this prompt will come."""

    stopped: bool
    """True if the answer was aborted."""


def prompt_ids_of(history: Sequence[Mapping[str, object]]) -> PromptIds:
    """The ids of the prompts in a session's history, as the runtime returns it."""
    prompts: list[str] = []
    answered = 0
    for event in history:
        if event.get("agentId") is not None:
            continue
        if event["type"] == SessionEventType.ASSISTANT_MESSAGE.value:
            answered = len(prompts)
        elif event["type"] == SessionEventType.USER_MESSAGE.value:
            prompts.append(str(UUID(str(event["id"]))))
    return PromptIds(all=prompts, unanswered=prompts[answered:])


class EventReader:
    """Translates the events of one prompt.

    Events of a successful prompt: user message, context used, model call start, deltas, usage,
    message, idle. The runtime may add user messages of its own to continue an answer, so only the
    first one is the prompt. Events of a failed prompt: model call failure, then retry or error,
    then idle. The error has a type and mostly a status, the failed call before it a code.

    The runtime asks a model to continue that is cut off at its token limit, twice at most. Each
    piece has its own message id, and only the last one is completed (measured). They are one text.
    """

    def __init__(self, sanitize: Callable[[object], str] = str) -> None:
        self._sanitize = sanitize
        self._failure: ModelCallFailureData | None = None
        self._prompt_accepted = False
        self._answered = False
        self._message_id = ""
        self._previous_text = ""  # the pieces before the current one
        self._current_chunks: list[str] = []
        self._text_to_repeat = ""  # earlier pieces that a retry retracted with the current one

    def translate(self, event: SessionEvent) -> AgentEvent | AgentError | SessionIdle | None:
        """The translated event, or None if the bot has no use for it.

        An error is returned, not raised: the session sends `SessionIdle` after it.
        """
        if event.agent_id is not None:
            return None  # an event of a sub-agent, whose result is in the main answer
        match event.data:
            case UserMessageData() if not self._prompt_accepted:
                self._prompt_accepted = True
                return PromptAccepted(event_id=str(event.id))
            case SessionUsageInfoData(current_tokens=tokens, token_limit=limit):
                return ContextUsage(tokens=tokens, limit=limit)
            case AssistantMessageDeltaData(delta_content=text, message_id=message_id):
                return TextDelta(text=self._add_delta(message_id, text)) if text else None
            case AssistantMessageData(content=text, message_id=message_id):
                return TextComplete(text=self._complete_text(message_id, text))
            case AssistantTurnRetryData():
                self._current_chunks.clear()
                self._text_to_repeat = self._previous_text
                return TextRetracted()
            case ModelCallStartData():
                self._failure, self._answered = None, False
            case ModelCallFailureData() as failure:
                self._failure = failure
            case AssistantUsageData() as usage:
                self._answered = True
                return TokensUsed(
                    model=usage.model,
                    input_tokens=usage.input_tokens or 0,
                    output_tokens=usage.output_tokens or 0,
                )
            case SessionErrorData() as error:
                return self._translate_error(error)
            case SessionIdleData(aborted=aborted):
                return SessionIdle(stopped=bool(aborted))
        return None

    def _add_delta(self, message_id: str, text: str) -> str:
        """The text that a delta adds to the answer."""
        self._switch_message(message_id)
        self._current_chunks.append(text)
        repeated, self._text_to_repeat = self._text_to_repeat, ""
        return repeated + text

    def _complete_text(self, message_id: str, text: str) -> str:
        """The completed text, with the pieces before it."""
        self._switch_message(message_id)
        complete = self._previous_text + text
        self._message_id, self._previous_text, self._text_to_repeat = "", "", ""
        self._current_chunks.clear()
        return complete

    def _switch_message(self, message_id: str) -> None:
        if message_id != self._message_id:
            self._previous_text += "".join(self._current_chunks)
            self._current_chunks.clear()
            self._message_id = message_id

    def _translate_error(self, error: SessionErrorData) -> AgentError | None:
        if _HISTORY_NOT_WRITTEN in error.message:
            return None
        detail = f"{error.error_type}, status {error.status_code}: {self._sanitize(error.message)}"
        return AgentError(self._error_kind(error), detail)

    def _error_kind(self, error: SessionErrorData) -> AgentErrorKind:
        failure = self._failure
        if failure is not None and failure.error_code in _TOO_LONG_CODES:
            return AgentErrorKind.TOO_LONG
        known = _KIND_OF_ERROR_TYPE.get(error.error_type)
        if known is not None:
            return known
        status = error.status_code or (failure.status_code if failure is not None else None)
        if status is not None:
            return kind_of_status(status)
        if failure is not None and failure.failure_kind is ModelCallFailureKind.TRANSPORT:
            return AgentErrorKind.UNREACHABLE
        if failure is None and self._answered:
            # The model call succeeded without text, which the runtime reports as an error.
            return AgentErrorKind.EMPTY
        if _PROMPT_TOO_LONG in error.message:
            return AgentErrorKind.TOO_LONG
        return AgentErrorKind.MODEL
