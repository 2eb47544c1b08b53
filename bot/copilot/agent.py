"""Implements `bot.ports.Agent` with the Copilot runtime."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self
from weakref import WeakValueDictionary

from copilot.rpc import SessionsBulkDeleteRequest, SessionsForkRequest

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.copilot.models import FALLBACK_MODEL, list_models, resolve_model
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.copilot.session import LiveSession
from bot.copilot.session_factory import open_session
from bot.copilot.sign_in import listing_error
from bot.copilot.supervisor import RuntimeSupervisor
from bot.errors import AgentError, AgentErrorKind
from bot.ports import SessionConfig
from bot.sessions.lock_files import folder_of_sessions

log = logging.getLogger(__name__)

OPEN_SECONDS = 50.0
"""Timeout for opening a session, in seconds. The port allows 60 s, and killing a runtime that does
not start can take 8 s."""
MODELS_SECONDS = 5.0
"""Timeout for listing the models, in seconds."""
MODELS_CACHE_SECONDS = 60.0
"""Number of seconds that a list of models is cached."""
STORED_SIZES_SECONDS = 60.0
"""Timeout for the sizes of all sessions, in seconds. The runtime reads every session's folder: 200
took 0.4 s."""
DELETE_BATCH_SIZE = 100
"""Number of sessions that one call deletes. One takes about 18 ms, so a batch stays well within the
timeout of a call."""

_DEFAULT_CONFIG = SessionConfig()

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")
"""The ids that the runtime accepts (measured). For an empty one the SDK would make up an id."""
_NOTHING_TO_FORK = re.compile(r"Cannot fork session|Event .* not found in session")
"""Matches the error for a session without history. All errors have the same code, so only the text
identifies it."""


class CopilotAgent:
    """Opens sessions in a runtime that it starts and keeps running. An async context manager."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._supervisor = RuntimeSupervisor(options)
        self._model = ""
        self._models: tuple[str, ...] = ()
        self._models_expire_at = 0.0
        self._live_sessions: WeakValueDictionary[str, LiveSession] = WeakValueDictionary()
        self._starting: asyncio.Task[Runtime] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if self._starting is not None:
            # The caller no longer waits for this start, so closing does not wait for it either.
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._supervisor.close()
        return False

    def start_runtime_in_background(self) -> None:
        """Begin to start the runtime in a task. `start_runtime` waits for it."""
        self._starting = asyncio.create_task(self._ensure_runtime(), name="starting the runtime")

    async def start_runtime(self) -> None:
        """Start the runtime now instead of with the first session. Raises `AgentError`."""
        starting, self._starting = self._starting, None
        await (starting or self._ensure_runtime())

    async def open_session(
        self, session_id: str, config: SessionConfig = _DEFAULT_CONFIG
    ) -> LiveSession:
        """`bot.ports.Agent.open_session`."""
        if not _SESSION_ID.fullmatch(session_id):
            raise AgentError(AgentErrorKind.RUNTIME, f"{session_id!r} is no session id")
        try:
            async with time_limit(SYSTEM_CLOCK, OPEN_SECONDS):
                live = await self._open_session(session_id, config)
        except TimeoutError as error:
            raise AgentError(
                AgentErrorKind.RUNTIME,
                f"session {session_id} did not open within {OPEN_SECONDS:g} s",
            ) from error
        self._live_sessions[session_id] = live
        return live

    async def _open_session(self, session_id: str, config: SessionConfig) -> LiveSession:
        await self._close_previous(session_id)
        runtime = await self._ensure_runtime()
        await runtime.wait_detached(session_id)
        return await open_session(runtime, self._options, session_id, config, self._model)

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:
        """`bot.ports.Agent.fork_session`."""
        live = self._live_sessions.get(session_id)
        if live is not None and live.is_new:
            # The runtime would copy it while the session is open, but not afterwards.
            raise AgentError(AgentErrorKind.NO_SESSION, f"nothing was asked in {session_id} yet")
        runtime = await self._ensure_runtime()
        request = SessionsForkRequest(
            session_id=session_id, name=title or None, to_event_id=before or None
        )
        try:
            copy = await runtime.call("fork", runtime.client.rpc.sessions.fork(request))
        except AgentError as error:
            if _NOTHING_TO_FORK.search(str(error.__cause__)):
                raise AgentError(AgentErrorKind.NO_SESSION, str(error)) from error
            raise
        log.info("session forked: session=%s source=%s", copy.session_id, session_id)
        return copy.session_id

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        """`bot.ports.Agent.delete_sessions`."""
        freed = dict.fromkeys(session_ids, 0)
        stored = [session_id for session_id in freed if _SESSION_ID.fullmatch(session_id)]
        runtime = await self._ensure_runtime()
        for start in range(0, len(stored), DELETE_BATCH_SIZE):
            batch = stored[start : start + DELETE_BATCH_SIZE]
            # The runtime deletes open sessions, too. Their handles would then wait until a timeout.
            await asyncio.gather(*map(self._close_previous, batch))
            freed.update(await self._delete_batch(runtime, batch))
        return freed

    async def _delete_batch(self, runtime: Runtime, session_ids: list[str]) -> Mapping[str, int]:
        request = SessionsBulkDeleteRequest(session_ids=session_ids)
        deleted = await runtime.call("delete", runtime.client.rpc.sessions.bulk_delete(request))
        freed = {session_id: deleted.freed_bytes.get(session_id, 0) for session_id in session_ids}
        nothing = [session_id for session_id in session_ids if not freed[session_id]]
        left = await asyncio.to_thread(self._still_on_disk, nothing)
        if left:
            # Another process has them open. The runtime does not report that as an error.
            detail = f"{len(left)} sessions could not be deleted, such as {left[0]}"
            raise AgentError(AgentErrorKind.RUNTIME, detail)
        return freed

    def _still_on_disk(self, session_ids: list[str]) -> list[str]:
        folder = folder_of_sessions(self._options.data_dir)
        return [session_id for session_id in session_ids if (folder / session_id).exists()]

    async def stored_sizes(self) -> Mapping[str, int]:
        """`bot.ports.Agent.stored_sizes`."""
        runtime = await self._ensure_runtime()
        sizes = runtime.client.rpc.sessions.get_sizes()
        return dict((await runtime.call("sizes", sizes, STORED_SIZES_SECONDS)).sizes)

    async def list_models(self) -> Sequence[str]:
        """`bot.ports.Agent.list_models`."""
        clock = self._options.clock
        if self._models and clock.monotonic() < self._models_expire_at:
            return self._models
        try:
            async with time_limit(SYSTEM_CLOCK, MODELS_SECONDS):
                listed = await self._fetch_models()
        except TimeoutError as error:
            raise AgentError(
                AgentErrorKind.UNREACHABLE, f"no list of models within {MODELS_SECONDS:g} s"
            ) from error
        default = self._model if self._model != FALLBACK_MODEL else ""
        named = (self._options.model or default, *listed)
        self._models = tuple(dict.fromkeys(name for name in named if name))
        self._models_expire_at = clock.monotonic() + MODELS_CACHE_SECONDS
        return self._models

    async def memory_bytes(self) -> int:
        """`bot.ports.Agent.memory_bytes`."""
        runtime = self._supervisor.current_runtime
        return 0 if runtime is None else await asyncio.to_thread(runtime.memory_bytes)

    async def restart(self) -> None:
        """`bot.ports.Agent.restart`."""
        await self._resolve_model()
        await self._supervisor.restart(self._model)

    async def _fetch_models(self) -> Sequence[str]:
        """The models of the model server, or of the Copilot plan without one."""
        if self._options.base_url:
            return await list_models(self._options)
        runtime = await self._supervisor.ensure_running(self._model)
        try:
            listed = await runtime.call("list of models", runtime.client.list_models())
        except AgentError as error:
            raise await listing_error(self._options, error) from error
        return [model.id for model in listed]

    async def _ensure_runtime(self) -> Runtime:
        """The running runtime, after an attempt to resolve the model. Raises `AgentError`."""
        await self._resolve_model()
        return await self._supervisor.ensure_running(self._model)

    async def _resolve_model(self) -> None:
        """Ask for the model's name until there is one: the model server may start after the bot.

        Runs outside the supervisor's lock, so a server that hangs delays a caller by 5 s at most.
        """
        if self._model in ("", FALLBACK_MODEL):
            self._model = await resolve_model(self._options)

    async def _close_previous(self, session_id: str) -> None:
        """Close the session if it was opened before.

        The runtime sends events to the newest handle only. A caller with the old handle would wait
        until a timeout.
        """
        previous = self._live_sessions.pop(session_id, None)
        if previous is not None:
            await previous.close()
