"""What the runtime's events mean to us; the door behind which nobody sees an SDK event.

One `Reading` per prompt: most events stand for themselves, but why an answer failed takes what
came before. The order and meaning of the events are measured (CLI 1.0.102), see `Reading`.
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
"""Part of the runtime's message when it does not even send the prompt; there is no code for it."""
_HISTORY_NOT_WRITTEN = "persist session events"
"""Part of its message when the memory could not be written; the answer itself goes on."""

_KIND_OF_ERROR_TYPE = {
    "authentication": AgentErrorKind.ACCESS,
    "authorization": AgentErrorKind.ACCESS,
    "quota": AgentErrorKind.RATE_LIMIT,
    "rate_limit": AgentErrorKind.RATE_LIMIT,
    "context_limit": AgentErrorKind.TOO_LONG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionIdle:
    """The session has come to rest: nothing more comes of this prompt."""

    stopped: bool
    """Whether it was made to."""


def prompt_ids_of(history: Sequence[Mapping[str, object]]) -> PromptIds:
    """The prompts in a session's history, as the runtime tells it."""
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
    """Reads the events of one prompt.

    A prompt that goes well: user message, context used, model call starts, deltas, usage, message,
    idle. When the runtime asks on by itself it puts user messages of its own: the first is the
    prompt. One that does not go well:
    model call fails, is tried again (retry) or not (error), idle. The error names a type and
    mostly a status, the failed call before it a code.

    A model that is cut short at its token limit is asked to go on, twice at most. Each piece comes
    with a message id of its own, and only the last one is settled (measured): they are one text.
    """

    def __init__(self, sanitize: Callable[[object], str] = str) -> None:
        self._sanitize = sanitize
        self._failure: ModelCallFailureData | None = None
        self._prompt_accepted = False
        self._answered = False
        self._message_id = ""
        self._previous_text = ""  # the pieces before the current one
        self._current_chunks: list[str] = []
        self._text_to_repeat = (
            ""  # of the earlier pieces, what a retry took back with the current one
        )

    def translate(self, event: SessionEvent) -> AgentEvent | AgentError | SessionIdle | None:
        """What an event means to us; None when nothing. An error is returned, not raised: the
        session says `SessionIdle` after it."""
        if event.agent_id is not None:
            return None  # a sub-agent's; what matters of it is in the main answer
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
        """What a delta adds to what was said."""
        self._switch_message(message_id)
        self._current_chunks.append(text)
        repeated, self._text_to_repeat = self._text_to_repeat, ""
        return repeated + text

    def _complete_text(self, message_id: str, text: str) -> str:
        """The settled text with the pieces that came before it."""
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
            # The model call went well and had no text: the runtime takes that for an error.
            return AgentErrorKind.EMPTY
        if _PROMPT_TOO_LONG in error.message:
            return AgentErrorKind.TOO_LONG
        return AgentErrorKind.MODEL
