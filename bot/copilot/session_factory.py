"""Opens sessions: resumes them with options that the runtime does not store, or creates them."""

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
"""Part of the error for a session that does not exist. All errors have the same code (-32603), so
only the text identifies it."""
_RETRY_DELAYS = (0.1, 0.3, 1.0, 2.0)
"""Intervals between attempts to open a session, in seconds. They are for a session that is on disk
or was just open, and that the runtime does not find."""


PermissionHandler = Callable[
    [PermissionRequest, PermissionInvocation], Awaitable[PermissionRequestResult]
]
"""Answers a request for permission."""


class _SessionArguments(TypedDict, total=False):
    """The arguments of the SDK for resuming or creating a session."""

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
    """Resume the session, or create it if the runtime has none, and verify its model.

    Raises `AgentError`.
    """
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
            log.info("session still detaching, opened again: session=%s", session_id)
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
    """The session, signed in and with its model, and True if it is new."""
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
    """True if the session has a history on disk, even if the runtime does not find it.

    While the runtime detaches a session late, it does not find it for a moment (measured: 3 of 14
    times). An empty history counts as none: a runtime leaves one if it dies before the first event,
    and never finds that session again.
    """
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
    """The session, and True if it is new.

    Tries to resume first: creating a session that is on disk would erase its history silently.
    """
    client = runtime.client
    try:
        with options.telemetry.observe_step(TurnStep.RESUME):
            resuming = client.resume_session(session_id, **arguments)
            session = await runtime.open_session("resume", session_id, resuming)
    except AgentError as error:
        if not _is_not_found(error) or await _has_history(options, session_id):
            raise
        log.info("session created: session=%s", session_id)
        creating = client.create_session(session_id=session_id, **arguments)
        with options.telemetry.observe_step(TurnStep.CREATE):
            return await runtime.open_session("create", session_id, creating), True
    log.info("session resumed: session=%s", session_id)
    return session, False


def _session_arguments(
    options: RuntimeOptions, config: SessionConfig, model: str
) -> _SessionArguments:
    """The arguments for the SDK. Resuming needs all of them: the runtime stores the conversation
    only."""
    tools = allowed_tools(config)
    general = options.reading_system_prompt if tools else options.system_prompt
    arguments = _SessionArguments(
        streaming=True,
        # With their source, so that no tool of the runtime with the same name is available.
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
    """Detach a session that will not be used. Raises nothing but cancellation."""
    try:
        await runtime.detach(session, DETACH_SECONDS)
    except AgentError as error:
        log.debug("unused session could not be detached: error=%s", error)
