"""What the runtime's events mean to us; the door behind which nobody sees an SDK event.

One `Reading` per prompt: most events stand for themselves, but why an answer failed takes what
came before. The order and meaning of the events are measured (CLI 1.0.102), see `Reading`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    SessionIdleData,
)

from bot.copilot.models import fault_of_status
from bot.errors import AgentError, AgentFault
from bot.model import AgentEvent, TextAdded, TextSettled, TextTakenBack, TokensUsed

_TOO_LONG_CODES = frozenset(
    {"context_length_exceeded", "string_above_max_length", "request_too_large"}
)
_OVER_BUDGET = "prompt budget"
"""Part of the runtime's message when it does not even send the prompt; there is no code for it."""
_STORING = "persist session events"
"""Part of its message when the memory could not be written; the answer itself goes on."""

_FAULT_OF_TYPE = {
    "authentication": AgentFault.ACCESS,
    "authorization": AgentFault.ACCESS,
    "quota": AgentFault.RATE_LIMIT,
    "rate_limit": AgentFault.RATE_LIMIT,
    "context_limit": AgentFault.TOO_LONG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """The session has come to rest: nothing more comes of this prompt."""

    stopped: bool
    """Whether it was made to."""


class Reading:
    """Reads the events of one prompt.

    A prompt that goes well: model call starts, deltas, usage, message, idle. One that does not:
    model call fails, is tried again (retry) or not (error), idle. The error names a type and
    mostly a status, the failed call before it a code.
    """

    def __init__(self, clean: Callable[[object], str] = str) -> None:
        self._clean = clean
        self._failure: ModelCallFailureData | None = None
        self._answered = False

    def read(self, event: SessionEvent) -> AgentEvent | AgentError | Idle | None:
        """What an event means to us; None when nothing. An error is returned, not raised: the
        session says `Idle` after it."""
        if event.agent_id is not None:
            return None  # a sub-agent's; what matters of it is in the main answer
        match event.data:
            case AssistantMessageDeltaData(delta_content=text):
                return TextAdded(text=text) if text else None
            case AssistantMessageData(content=text):
                return TextSettled(text=text)
            case AssistantTurnRetryData():
                return TextTakenBack()
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
                return self._error(error)
            case SessionIdleData(aborted=aborted):
                return Idle(stopped=bool(aborted))
        return None

    def _error(self, error: SessionErrorData) -> AgentError | None:
        if _STORING in error.message:
            return None
        detail = f"{error.error_type}, status {error.status_code}: {self._clean(error.message)}"
        return AgentError(self._fault(error), detail)

    def _fault(self, error: SessionErrorData) -> AgentFault:
        failure = self._failure
        if failure is not None and failure.error_code in _TOO_LONG_CODES:
            return AgentFault.TOO_LONG
        known = _FAULT_OF_TYPE.get(error.error_type)
        if known is not None:
            return known
        status = error.status_code or (failure.status_code if failure is not None else None)
        if status is not None:
            return fault_of_status(status)
        if failure is not None and failure.failure_kind is ModelCallFailureKind.TRANSPORT:
            return AgentFault.UNREACHABLE
        if failure is None and self._answered:
            # The model call went well and had no text: the runtime takes that for an error.
            return AgentFault.EMPTY
        if _OVER_BUDGET in error.message:
            return AgentFault.TOO_LONG
        return AgentFault.MODEL
