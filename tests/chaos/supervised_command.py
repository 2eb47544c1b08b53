"""Runs `threadpilot run` in its own process, under a service manager that restarts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil

from bot.cli.main import main as threadpilot
from bot.cli.run import READY
from tests import forked_processes
from tests.forked_processes import Main, Process

START_SECONDS: Final = 90.0
"""Timeout in seconds of a start; it takes a few seconds, also on a busy machine."""
END_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 0.05
AGAIN_SECONDS: Final = 0.2
"""Interval in seconds before the service manager restarts the bot."""


class SupervisedCommand:
    """The bot's processes, one after another on the same data and with one log file."""

    def __init__(self, env: Mapping[str, str], log: Path, main: Main = threadpilot) -> None:
        self._env = {**os.environ, **env}
        self._log = log
        self._main = main
        self._process: Process | None = None
        self._stopping = False
        self._children: list[psutil.Process] = []
        self._up = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self.starts = 0
        self.faults: list[str] = []
        """The unexpected ends of the process."""

    @asynccontextmanager
    async def kept_running(self) -> AsyncIterator[None]:
        """Run the bot and restart it whenever it ends, while inside; no process is left after."""
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.kill()
            if self._process is not None:
                await self._process.wait()
            await asyncio.to_thread(self._clear_away)

    async def up(self) -> None:
        """Wait until the bot is connected to Slack. Raises `AssertionError` after the timeout."""
        try:
            await asyncio.wait_for(self._up.wait(), START_SECONDS)
        except TimeoutError:
            raise AssertionError(f"the bot does not start:\n{self.log_text()[-3_000:]}") from None

    @property
    def pid(self) -> int:
        """The id of the process that runs now or ran last."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def kill(self) -> None:
        """Send `kill -9` to the bot if it runs; returns at once."""
        if self._process is not None and self._process.returncode is None:
            self._stopping = True
            self._note_children()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def kill_runtime(self) -> None:
        """Send `kill -9` to the Copilot runtime if it runs."""
        for child in self._note_children():
            with contextlib.suppress(psutil.Error):
                child.kill()

    async def stop(self) -> None:
        """Send SIGTERM and wait until the process has ended. Raises `TimeoutError`."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        was_up, self._stopping = self._up.is_set(), True
        self._note_children()
        process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(process.wait(), END_SECONDS)
        if status != 0 and was_up:
            self.faults.append(f"asked to stop, the bot ended with {status}")

    def suspend(self) -> None:
        """Stop restarting the bot."""
        self._wanted.clear()

    def resume(self) -> None:
        """Restart the bot again from now on."""
        self._wanted.set()

    def memory(self) -> int:
        """Memory of the bot itself in bytes, without the runtime."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def log_text(self, after: int = 0) -> str:
        """The text of its log from the byte `after` on."""
        with self._log.open("rb") as log:
            log.seek(after)
            return log.read().decode(errors="replace")

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            with self._log.open("ab") as log:
                begun = log.tell()
                self._stopping = False
                self._process = await forked_processes.start(
                    self._main, "run", env=self._env, stdout=log, stderr=log
                )
            self.starts += 1
            await self._follow(self._process, begun)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, process: Process, begun: int) -> None:
        """Follow one process from its start to its end."""
        while process.returncode is None:
            if READY in self.log_text(begun):
                break
            await asyncio.sleep(LOOK_SECONDS)
        if process.returncode is None:
            self._up.set()
        status = await process.wait()
        if self._up.is_set() and not self._stopping:
            self.faults.append(f"the bot ended by itself with {status}")
        self._up.clear()

    def _note_children(self) -> list[psutil.Process]:
        """The child processes of the bot, which outlive a killed bot for a moment."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []
        self._children += children
        return children

    def _clear_away(self) -> None:
        _, left = psutil.wait_procs(self._children, timeout=5)
        for child in left:
            with contextlib.suppress(psutil.Error):
                child.kill()
