"""Starts child processes of the demo, waits until they are ready, and always ends them."""

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
"""Timeout for a process to become ready, in seconds. A first start from a slow disk takes 20 s."""
STOP_SECONDS = 10.0
"""Timeout for a process to end after SIGTERM, in seconds. Then it is killed."""
POLL_SECONDS = 0.05
"""Interval between two reads of a log, in seconds."""
TAIL_LINES = 5
"""Number of log lines that an error shows."""
MAX_TAIL_CHARS = 8_192
"""Maximum length of these lines, in characters."""


class DemoProcessError(Exception):
    """A process did not become ready, or ended by itself. The text ends with its last log lines."""


class ChildProcess:
    """A running process, which `run_process` starts."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait_exit(self) -> str:
        """Wait until the process ends by itself. Returns a sentence with its last log lines."""
        status = await self._process.wait()
        return f"{self.name} ended by itself (status {status}).{self._log_tail()}"

    async def wait_for_output(self, pattern: re.Pattern[str], timeout: float) -> re.Match[str]:
        """Wait for a match in the log.

        Raises `DemoProcessError` if the process ends before, or after `timeout` seconds.
        """
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
        """Terminate the process. Kill it and its children if it does not end."""
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
    """Start a process whose output goes to `log`, which is overwritten. Ends with the block.

    It runs in its own process session, so that the terminal's Ctrl-C reaches only the demo, which
    ends everything in order. If the demo is killed, Linux ends the process.
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
