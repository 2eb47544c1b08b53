"""Asks side questions, which use a session's history and are not stored in it.

The runtime sends the question to the model with the history and without the system prompt. It can
do so while an answer is running (measured, CLI 1.0.102). It reports errors as text only.
"""

from __future__ import annotations

import asyncio
import re

from copilot import CopilotSession
from copilot.rpc import UIEphemeralQueryRequest, UIEphemeralQueryResult

from bot.clock import sleep_excluding_stalls
from bot.copilot.models import kind_of_status
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentErrorKind
from bot.tasks import first_completed

_STATUS = re.compile(r"host-rethrow: ([45][0-9]{2})\b")
"""The form in which the runtime repeats the HTTP status of a model server."""
_MODEL_UNREACHABLE = "Failed to get response from the AI model"
"""The runtime's error after five attempts. It does not give the reason."""
_UNBOUNDED_SECONDS = 3600.0
"""Timeout for the runtime's call, in seconds: no real bound, because the silence timeout below ends
the call."""


async def ask_side_question(
    runtime: Runtime, session: CopilotSession, options: RuntimeOptions, question: str
) -> str:
    """The answer, which is not empty.

    Raises `AgentError`: SILENT if there is no answer within `silence_seconds`, RUNTIME at once when
    the runtime goes, EMPTY for an empty answer, or the kind of the model's error.
    """
    gone = asyncio.Event()
    unsubscribe = runtime.add_gone_listener(lambda _: gone.set())
    request = UIEphemeralQueryRequest(question=question)
    query = asyncio.create_task(
        runtime.call("side question", session.rpc.ui.ephemeral_query(request), _UNBOUNDED_SECONDS)
    )
    silence = sleep_excluding_stalls(options.clock, options.silence_seconds)
    try:
        await first_completed(asyncio.wait({query}), gone.wait(), silence)
        if not query.done():
            if gone.is_set():
                raise AgentError(AgentErrorKind.RUNTIME, "the runtime went during a side question")
            detail = f"no answer to a side question for {options.silence_seconds:g} s"
            raise AgentError(AgentErrorKind.SILENT, detail)
        answer = _answer_of(query)
    finally:
        unsubscribe()
        query.cancel()
    if not answer.strip():
        raise AgentError(AgentErrorKind.EMPTY, "the side question got an empty answer")
    return answer


def _answer_of(query: asyncio.Task[UIEphemeralQueryResult]) -> str:
    try:
        return query.result().answer
    except AgentError as error:
        raise AgentError(_error_kind(error), str(error)) from error


def _error_kind(error: AgentError) -> AgentErrorKind:
    """The kind of error, by the text of the runtime's error."""
    message = str(error.__cause__)
    status = _STATUS.search(message)
    if status is not None:
        return kind_of_status(int(status[1]))
    return AgentErrorKind.UNREACHABLE if _MODEL_UNREACHABLE in message else error.kind
