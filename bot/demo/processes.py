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
LOOK_SECONDS = 0.05
LAST_LINES = 5
LONGEST_TAIL = 8_192


class ProgramFault(Exception):
    """A program did not become ready, or ended by itself; the text ends with its last words."""


class Program:
    """A running program; `running` starts it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        """Wait until it ends by itself; how it did, in one sentence with its last words."""
        status = await self._process.wait()
        return f"{self.name} ended by itself (status {status}).{self._last_words()}"

    async def said(self, pattern: re.Pattern[str], within: float) -> re.Match[str]:
        """Wait for a line in its log. Raises `ProgramFault` when it ends before, or takes longer
        than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not (found := pattern.search(self._written())):
                    if self._process.returncode is not None:
                        raise ProgramFault(f"{self.name} did not start.{self._last_words()}")
                    await asyncio.sleep(LOOK_SECONDS)
                return found
        except TimeoutError:
            raise ProgramFault(
                f"{self.name} was not ready within {within:g} s.{self._last_words()}"
            ) from None

    async def stop(self) -> None:
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

    def _written(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _last_words(self) -> str:
        lines = self._written()[-LONGEST_TAIL:].strip().splitlines()[-LAST_LINES:]
        return "".join(f"\n  {line}" for line in lines)


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
) -> AsyncIterator[Program]:
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
    program = Program(name, process, log)
    try:
        yield program
    finally:
        await asyncio.shield(program.stop())
