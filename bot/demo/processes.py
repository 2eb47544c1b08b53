"""Programs that the demo runs beside itself: waited for until they are ready, and always ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

READY_SECONDS = 60.0
"""How long a program may take to say that it is ready; a slow disk's first start needs 20."""
STOP_SECONDS = 10.0
"""How long it may take to end when asked to; then it is killed."""
POLL_SECONDS = 0.05
TAIL_LINES = 5
MAX_TAIL_CHARS = 8_192


class DemoProcessError(Exception):
    """A program did not become ready, or ended by itself; the text ends with its last words."""


class ChildProcess:
    """A running program; `running` starts it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait_exit(self) -> str:
        """Wait until it ends by itself; how it did, in one sentence with its last words."""
        status = await self._process.wait()
        return f"{self.name} ended by itself (status {status}).{self._log_tail()}"

    async def wait_for_output(self, pattern: re.Pattern[str], timeout: float) -> re.Match[str]:
        """Wait for a line in its log. Raises `DemoProcessError` when it ends before, or takes
        longer than `within` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not (found := pattern.search(self._read_log())):
                    if self._process.returncode is not None:
                        raise DemoProcessError(f"{self.name} did not start.{self._log_tail()}")
                    await asyncio.sleep(POLL_SECONDS)
                return found
        except TimeoutError:
            raise DemoProcessError(
                f"{self.name} was not ready within {timeout:g} s.{self._log_tail()}"
            ) from None

    async def terminate(self) -> None:
        """Ask it to end, and kill it and whatever it started when it does not."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _read_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _log_tail(self) -> str:
        lines = self._read_log()[-MAX_TAIL_CHARS:].strip().splitlines()[-TAIL_LINES:]
        return "".join(f"\n  {line}" for line in lines)


@asynccontextmanager
async def run_process(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
) -> AsyncIterator[ChildProcess]:
    """Start a program whose whole output goes to `log` (begun anew), and end it when leaving.

    It runs in a session of its own, so that the terminal's Ctrl-C reaches only the one who can
    end everything in order; should that one be killed, the system ends the program (Linux).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    setpriv = shutil.which("setpriv")
    guard = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *guard,
            *command,
            cwd=log.parent,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    child = ChildProcess(name, process, log)
    try:
        yield child
    finally:
        await asyncio.shield(child.terminate())
