"""A side question: answered with what the session knows, and not kept in it.

The runtime sends it to the model with the history so far and without our instructions, also while
an answer is under way (measured, CLI 1.0.102). What goes wrong it only tells in words.
"""

from __future__ import annotations

import asyncio
import re

from copilot import CopilotSession
from copilot.rpc import UIEphemeralQueryRequest, UIEphemeralQueryResult

from bot.clock import wait_awake
from bot.copilot.models import fault_of_status
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentFault

_STATUS = re.compile(r"host-rethrow: ([45][0-9]{2})\b")
"""How the runtime repeats the HTTP status of a model server."""
_NO_ANSWER = "Failed to get response from the AI model"
"""It has tried five times; why it failed is not said."""
_BEYOND_REASON = 3600.0
"""The runtime's own call has no bound of its own: silence, which is measured here, ends it."""


async def ask_aside(
    runtime: Runtime, session: CopilotSession, options: RuntimeOptions, question: str
) -> str:
    """The answer. Raises `AgentError`: SILENT when there is none in the time that a session may
    be silent, RUNTIME at once when the runtime goes, and what the model's faults mean."""
    gone = asyncio.Event()
    stop_listening = runtime.when_gone(lambda _: gone.set())
    request = UIEphemeralQueryRequest(question=question)
    asking = asyncio.create_task(
        runtime.call("side question", session.rpc.ui.ephemeral_query(request), _BEYOND_REASON)
    )
    death = asyncio.create_task(gone.wait())
    silence = asyncio.create_task(wait_awake(options.clock, options.silence_seconds))
    try:
        await asyncio.wait({asking, death, silence}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            if gone.is_set():
                raise AgentError(AgentFault.RUNTIME, "the runtime went during a side question")
            detail = f"no answer to a side question for {options.silence_seconds:g} s"
            raise AgentError(AgentFault.SILENT, detail)
        answer = _answer_of(asking)
    finally:
        stop_listening()
        for task in (asking, death, silence):
            task.cancel()
    if not answer.strip():
        raise AgentError(AgentFault.EMPTY, "the side question got an empty answer")
    return answer


def _answer_of(asking: asyncio.Task[UIEphemeralQueryResult]) -> str:
    try:
        return asking.result().answer
    except AgentError as error:
        raise AgentError(_fault(error), str(error)) from error


def _fault(error: AgentError) -> AgentFault:
    """What a failed side question means, by the runtime's words."""
    words = str(error.__cause__)
    status = _STATUS.search(words)
    if status is not None:
        return fault_of_status(int(status[1]))
    return AgentFault.UNREACHABLE if _NO_ANSWER in words else error.fault
