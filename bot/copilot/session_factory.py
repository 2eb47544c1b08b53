"""How a session is opened: resumed with all that the runtime does not keep, or created."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypedDict

from copilot import (
    CopilotSession,
    PermissionRequest,
    PermissionRequestResult,
    ProviderConfig,
    Tool,
)
from copilot.session import PermissionInvocation, SystemMessageReplaceConfig

from bot.copilot.file_tools import reading_tools
from bot.copilot.options import RuntimeOptions
from bot.copilot.permissions import allowed_tools, refuse_all
from bot.copilot.runtime import Runtime
from bot.copilot.session import DETACH_SECONDS, LiveSession, ensure_model
from bot.copilot.sign_in import ensure_signed_in
from bot.errors import AgentError
from bot.ports import SessionConfig, TurnStep
from bot.sessions.lock_files import folder_of_sessions

log = logging.getLogger(__name__)

_NO_SUCH_SESSION = "Session not found"
"""All errors have one code (-32603); only these words tell that there is no such session."""
_RETRY_DELAYS = (0.1, 0.3, 1.0, 2.0)
"""Seconds between tries to open a session that is on disk or has just been opened, and of which the
runtime says that there is none."""


PermissionHandler = Callable[
    [PermissionRequest, PermissionInvocation], Awaitable[PermissionRequestResult]
]
"""Answers a request for permission."""


class _SessionArguments(TypedDict, total=False):
    """What a session is opened with, resumed or created."""

    model: str
    provider: ProviderConfig
    streaming: bool
    available_tools: list[str]
    tools: list[Tool]
    system_message: SystemMessageReplaceConfig
    on_permission_request: PermissionHandler


async def open_session(
    runtime: Runtime,
    options: RuntimeOptions,
    session_id: str,
    config: SessionConfig,
    default_model: str,
) -> LiveSession:
    """Resume the session or, only when the runtime says that there is none, create it; and make
    sure of its model. Raises `AgentError`."""
    arguments = _session_arguments(options, config, config.model or default_model)
    for delay in _RETRY_DELAYS:
        try:
            session, is_new = await _open_once(
                runtime, options, session_id, arguments, config.effort
            )
            break
        except AgentError as error:
            if not _is_not_found(error):
                raise
            log.info("session %s is still being let go of: it is opened again", session_id)
        await asyncio.sleep(delay)
    else:
        session, is_new = await _open_once(runtime, options, session_id, arguments, config.effort)
    return LiveSession(
        session, runtime, options, config=config, default_model=default_model, is_new=is_new
    )


async def _open_once(
    runtime: Runtime,
    options: RuntimeOptions,
    session_id: str,
    arguments: _SessionArguments,
    effort: str,
) -> tuple[CopilotSession, bool]:
    """The session, signed in and with its model, and whether it is new."""
    session, is_new = await _resume_or_create(runtime, options, session_id, arguments)
    try:
        await ensure_signed_in(runtime, session, options)
        await ensure_model(runtime, session, arguments.get("model", ""), effort)
    except BaseException:
        await _release(runtime, session)
        raise
    return session, is_new


def _is_not_found(error: AgentError) -> bool:
    return _NO_SUCH_SESSION in str(error.__cause__)


async def _has_history(options: RuntimeOptions, session_id: str) -> bool:
    """Whether there is a history of the session, whatever the runtime says: while it lets go of one
    late, it says for a moment that there is none (measured: 3 of 14 times). An empty one
    is none: so a runtime leaves it that died before it wrote the first event, and for ever says
    that there is no such session."""
    history = folder_of_sessions(options.data_dir) / session_id / "events.jsonl"
    return await asyncio.to_thread(_is_nonempty_file, history)


def _is_nonempty_file(history: Path) -> bool:
    try:
        return history.stat().st_size > 0
    except FileNotFoundError:
        return False


async def _resume_or_create(
    runtime: Runtime, options: RuntimeOptions, session_id: str, arguments: _SessionArguments
) -> tuple[CopilotSession, bool]:
    """The session, and whether it is new. Resume first: creating over a session on disk would
    lose its memory without a word."""
    client = runtime.client
    try:
        with options.telemetry.observe_step(TurnStep.RESUME):
            resuming = client.resume_session(session_id, **arguments)
            session = await runtime.open_session("resume", session_id, resuming)
    except AgentError as error:
        if not _is_not_found(error) or await _has_history(options, session_id):
            raise
        log.info("session %s is new", session_id)
        creating = client.create_session(session_id=session_id, **arguments)
        with options.telemetry.observe_step(TurnStep.CREATE):
            return await runtime.open_session("create", session_id, creating), True
    log.info("session %s is resumed", session_id)
    return session, False


def _session_arguments(
    options: RuntimeOptions, config: SessionConfig, model: str
) -> _SessionArguments:
    """Resuming takes everything anew: the runtime keeps the conversation only."""
    tools = allowed_tools(config)
    general = options.reading_system_prompt if tools else options.system_prompt
    arguments = _SessionArguments(
        streaming=True,
        # By their source: no tool of the runtime's that has the same name is let in.
        available_tools=[f"custom:{tool}" for tool in tools],
        system_message={
            "mode": "replace",
            "content": _join_instructions(general, config.instructions),
        },
        on_permission_request=refuse_all,
    )
    if tools:
        arguments["tools"] = reading_tools(tools, config.folder, options.redact)
    if model:
        arguments["model"] = model
    if options.base_url:
        arguments["provider"] = ProviderConfig(type="openai", base_url=options.base_url)
        if options.api_key:
            arguments["provider"]["api_key"] = options.api_key
    return arguments


def _join_instructions(general: str, specific: str) -> str:
    return f"{general}\n{specific.strip()}\n" if specific.strip() else general


async def _release(runtime: Runtime, session: CopilotSession) -> None:
    """Leave a session that is not going to be used. Raises nothing but cancellation."""
    try:
        await runtime.detach(session, DETACH_SECONDS)
    except AgentError as error:
        log.debug("a session that was opened in vain could not be closed: %s", error)
