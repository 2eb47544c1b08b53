"""Making sure that a session runs with the model that it is meant to run with.

Measured (CLI 1.0.102): a resumed session keeps the reasoning effort that it had, unless another one
is given; "none" takes it back. A live session that goes on with another model tells that model so
in its next prompt (`<tools_changed_notice>`); one that is resumed with another model does not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from copilot import CopilotSession

from bot.copilot.runtime import Runtime
from bot.copilot.sdk_compat import is_refusal
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

NO_EFFORT = "none"
SWITCH_SECONDS = 5.0
"""For each of up to three calls; they take milliseconds."""


@dataclass(frozen=True, slots=True)
class _Running:
    """The model that a session runs with, and its reasoning effort ("" where none is set)."""

    model: str
    effort: str


async def settle_model(runtime: Runtime, session: CopilotSession, model: str, effort: str) -> None:
    """Have the session run with this model ("": whichever it has) and effort ("": none), and make
    sure that it does. Raises `AgentError`: MODEL_GONE when it stays with another model. Bounded to
    15 s."""
    now = await _running(runtime, session)
    wanted = _Running(model or now.model, effort)
    if now == wanted:
        return
    try:
        await runtime.call(
            "switch the model",
            session.set_model(wanted.model, reasoning_effort=effort or NO_EFFORT),
            SWITCH_SECONDS,
        )
    except AgentError as error:
        if error.fault is AgentFault.RUNTIME and is_refusal(error.__cause__):
            raise AgentError(AgentFault.MODEL_GONE, str(error)) from error
        raise
    now = await _running(runtime, session)
    if now.model != wanted.model:
        raise AgentError(
            AgentFault.MODEL_GONE, f"the session stays with {now.model} instead of {wanted.model}"
        )
    if now.effort != wanted.effort:
        log.warning("the model %s does not take the reasoning effort %r", model, effort)


async def _running(runtime: Runtime, session: CopilotSession) -> _Running:
    current = await runtime.call("model", session.rpc.model.get_current(), SWITCH_SECONDS)
    effort = current.reasoning_effort or ""
    return _Running(current.model_id or "", "" if effort == NO_EFFORT else effort)
