"""The Copilot runtime as the story sees it: `bot.ports.Agent`."""

from __future__ import annotations

import asyncio
import logging
import re
from types import TracebackType
from typing import Literal, Self, TypedDict
from weakref import WeakValueDictionary

from copilot import CopilotSession, ProviderConfig
from copilot.session import SystemMessageReplaceConfig

from bot.copilot.models import FALLBACK_MODEL, choose_model
from bot.copilot.options import RuntimeOptions
from bot.copilot.permissions import refuse_all
from bot.copilot.runtime import Runtime
from bot.copilot.session import LiveSession
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

OPEN_SECONDS = 50.0
"""The port allows 60 s; clearing away a runtime that does not start takes up to 8 s."""

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")
"""What the runtime takes (measured); for an empty one the SDK would invent an id of its own."""
_NO_SUCH_SESSION = "Session not found"
"""All errors have one code (-32603); only these words tell that there is no such session."""
_NOT_SIGNED_IN = "Authentication failed"
"""With GitHub's models, opening a session signs in first."""
_NO_NETWORK = "network fetch failed"
"""Part of the message when signing in failed because GitHub could not be reached."""


class _Shared(TypedDict, total=False):
    """What every session is opened with, resumed or created."""

    model: str
    provider: ProviderConfig
    streaming: bool
    available_tools: list[str]
    system_message: SystemMessageReplaceConfig


class CopilotAgent:
    """Opens sessions, and keeps one runtime running behind them. An async context manager."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._runtime: Runtime | None = None
        self._model = ""
        self._live: WeakValueDictionary[str, LiveSession] = WeakValueDictionary()
        self._one_start = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self._closed = True
        async with self._one_start:
            if self._runtime is not None:
                await self._runtime.stop()
                self._runtime = None
        return False

    async def start(self) -> None:
        """Start the runtime now instead of with the first session. Raises `AgentError`."""
        await self._learn_model()
        await self._running()

    async def open(self, session_id: str) -> LiveSession:
        """`bot.ports.Agent.open`."""
        if not _SESSION_ID.fullmatch(session_id):
            raise AgentError(AgentFault.RUNTIME, f"{session_id!r} is no session id")
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._learn_model()
                runtime = await self._running()
                await self._let_go_of(session_id)
                session = await self._resume_or_create(runtime, session_id)
        except TimeoutError as error:
            raise AgentError(
                AgentFault.RUNTIME, f"session {session_id} did not open within {OPEN_SECONDS:g} s"
            ) from error
        live = self._live[session_id] = LiveSession(session, runtime, self._options)
        return live

    async def _learn_model(self) -> None:
        """Ask for the model's name until there is one: its server may come up after the bot.
        Outside the lock, so that a server that hangs holds up nobody for longer than 5 s."""
        if self._model in ("", FALLBACK_MODEL):
            self._model = await choose_model(self._options)

    async def _running(self) -> Runtime:
        """The runtime, started anew when it has gone; one start at a time."""
        async with self._one_start:
            if self._closed:
                raise AgentError(AgentFault.RUNTIME, "the agent is closed")
            if self._runtime is not None and self._runtime.gone:
                gone, self._runtime = self._runtime, None
                await gone.clear_away()
            if self._runtime is None:
                self._runtime = await Runtime.start(self._options, self._model)
            return self._runtime

    async def _let_go_of(self, session_id: str) -> None:
        """Close the session if it was opened before: its events go to the newest handle only, and
        whoever still had the old one would wait in vain."""
        older = self._live.pop(session_id, None)
        if older is not None:
            await older.close()

    async def _resume_or_create(self, runtime: Runtime, session_id: str) -> CopilotSession:
        """Resume first: creating over a session on disk would lose its memory without a word."""
        shared = self._shared()
        try:
            session = await runtime.call(
                "resume",
                runtime.client.resume_session(
                    session_id, on_permission_request=refuse_all, **shared
                ),
            )
        except AgentError as error:
            reason = str(error.__cause__)
            if _NOT_SIGNED_IN in reason:
                fault = AgentFault.UNREACHABLE if _NO_NETWORK in reason else AgentFault.ACCESS
                raise AgentError(fault, "GitHub did not let us sign in") from error
            if _NO_SUCH_SESSION not in reason:
                raise
            log.info("session %s is new", session_id)
            return await runtime.call(
                "create",
                runtime.client.create_session(
                    session_id=session_id, on_permission_request=refuse_all, **shared
                ),
            )
        log.info("session %s is resumed", session_id)
        return session

    def _shared(self) -> _Shared:
        """Resuming takes everything anew: the runtime keeps the conversation only."""
        options = self._options
        shared = _Shared(
            streaming=True,
            available_tools=[],
            system_message={"mode": "replace", "content": options.instructions},
        )
        if self._model:
            shared["model"] = self._model
        if options.base_url:
            shared["provider"] = ProviderConfig(type="openai", base_url=options.base_url)
            if options.api_key:
                shared["provider"]["api_key"] = options.api_key
        return shared
