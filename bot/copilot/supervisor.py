"""Keeps the runtime running: starts it on demand, and again when it has gone."""

from __future__ import annotations

import asyncio

from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentErrorKind


class RuntimeSupervisor:
    """Owns at most one runtime at a time. Two would write into the same histories."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._runtime: Runtime | None = None
        self._start_lock = asyncio.Lock()
        self._died = False
        self._closed = False

    @property
    def current_runtime(self) -> Runtime | None:
        """The runtime, or None if it does not run."""
        runtime = self._runtime
        return None if runtime is None or runtime.gone else runtime

    async def ensure_running(self, model: str) -> Runtime:
        """The runtime, started if necessary, one start at a time. Raises `AgentError`.

        A runtime that has gone is cleaned up before the next one starts.
        """
        async with self._start_lock:
            if self._closed:
                raise AgentError(AgentErrorKind.RUNTIME, "the agent is closed")
            if self._runtime is not None and self._runtime.gone:
                self._died = True
                await self._runtime.wait_cleaned_up()
                self._runtime = None
            if self._runtime is None:
                self._runtime = await Runtime.start(self._options, model)
                if self._died:
                    self._options.telemetry.record_runtime_restart()
                self._died = False
            return self._runtime

    async def restart(self, model: str) -> None:
        """Stop the runtime and start it again. Raises `AgentError`."""
        await self._stop()
        await self.ensure_running(model)
        self._options.telemetry.record_runtime_restart()

    async def close(self) -> None:
        """Stop the runtime permanently. Raises nothing."""
        self._closed = True
        await self._stop()

    async def _stop(self) -> None:
        async with self._start_lock:
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                # Shielded: an interrupted stop would leave a runtime running.
                await asyncio.shield(runtime.stop())
