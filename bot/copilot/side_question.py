"""A side question: answered with what the session knows, and not kept in it.

The runtime sends it to the model with the history so far and without our instructions, also while
an answer is under way (measured, CLI 1.0.102). What goes wrong it only tells in words.
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
"""How the runtime repeats the HTTP status of a model server."""
_MODEL_UNREACHABLE = "Failed to get response from the AI model"
"""It has tried five times; why it failed is not said."""
_UNBOUNDED_SECONDS = 3600.0
"""The runtime's own call has no bound of its own: silence, which is measured here, ends it."""


async def ask_side_question(
    runtime: Runtime, session: CopilotSession, options: RuntimeOptions, question: str
) -> str:
    """The answer. Raises `AgentError`: SILENT when there is none in the time that a session may
    be silent, RUNTIME at once when the runtime goes, and what the model's faults mean."""
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
    """What a failed side question means, by the runtime's words."""
    message = str(error.__cause__)
    status = _STATUS.search(message)
    if status is not None:
        return kind_of_status(int(status[1]))
    return AgentErrorKind.UNREACHABLE if _MODEL_UNREACHABLE in message else error.kind
