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

from bot.copilot.models import fault_of_status
from bot.domain.agent_events import (
    AgentEvent,
    ContextUsed,
    PromptTaken,
    TextAdded,
    TextSettled,
    TextTakenBack,
    TokensUsed,
)
from bot.errors import AgentError, AgentFault
from bot.ports import Prompts

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


def prompts_of(history: Sequence[Mapping[str, object]]) -> Prompts:
    """The prompts in a session's history, as the runtime tells it."""
    found: list[str] = []
    answered = 0
    for event in history:
        if event.get("agentId") is not None:
            continue
        if event["type"] == SessionEventType.ASSISTANT_MESSAGE.value:
            answered = len(found)
        elif event["type"] == SessionEventType.USER_MESSAGE.value:
            found.append(str(UUID(str(event["id"]))))
    return Prompts(all=found, unanswered=found[answered:])


class Reading:
    """Reads the events of one prompt.

    A prompt that goes well: user message, context used, model call starts, deltas, usage, message,
    idle. When the runtime asks on by itself it puts user messages of its own: the first is the
    prompt. One that does not go well:
    model call fails, is tried again (retry) or not (error), idle. The error names a type and
    mostly a status, the failed call before it a code.

    A model that is cut short at its token limit is asked to go on, twice at most. Each piece comes
    with a message id of its own, and only the last one is settled (measured): they are one text.
    """

    def __init__(self, clean: Callable[[object], str] = str) -> None:
        self._clean = clean
        self._failure: ModelCallFailureData | None = None
        self._taken = False
        self._answered = False
        self._message_id = ""
        self._earlier = ""  # the pieces before the current one
        self._piece: list[str] = []
        self._owed = ""  # of the earlier pieces, what a retry took back with the current one

    def read(self, event: SessionEvent) -> AgentEvent | AgentError | Idle | None:
        """What an event means to us; None when nothing. An error is returned, not raised: the
        session says `Idle` after it."""
        if event.agent_id is not None:
            return None  # a sub-agent's; what matters of it is in the main answer
        match event.data:
            case UserMessageData() if not self._taken:
                self._taken = True
                return PromptTaken(event=str(event.id))
            case SessionUsageInfoData(current_tokens=tokens, token_limit=limit):
                return ContextUsed(tokens=tokens, limit=limit)
            case AssistantMessageDeltaData(delta_content=text, message_id=message_id):
                return TextAdded(text=self._more(message_id, text)) if text else None
            case AssistantMessageData(content=text, message_id=message_id):
                return TextSettled(text=self._whole(message_id, text))
            case AssistantTurnRetryData():
                self._piece.clear()
                self._owed = self._earlier
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

    def _more(self, message_id: str, text: str) -> str:
        """What a delta adds to what was said."""
        self._turn_to(message_id)
        self._piece.append(text)
        owed, self._owed = self._owed, ""
        return owed + text

    def _whole(self, message_id: str, text: str) -> str:
        """The settled text with the pieces that came before it."""
        self._turn_to(message_id)
        whole = self._earlier + text
        self._message_id, self._earlier, self._owed = "", "", ""
        self._piece.clear()
        return whole

    def _turn_to(self, message_id: str) -> None:
        if message_id != self._message_id:
            self._earlier += "".join(self._piece)
            self._piece.clear()
            self._message_id = message_id

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
