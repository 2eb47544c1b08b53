"""Starts, observes and ends the processes of the bench."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.model import READY as MODEL_READY
from bench.slack_side import SlackSide
from bot.cli.run import READY as BOT_READY
from bot.config.settings import SETTINGS

START_SECONDS: Final = 90.0
ANSWER_SECONDS: Final = 300.0
END_SECONDS: Final = 45.0
MB: Final = 1 << 20
PLENTY: Final = "1000"
"""`SLACK_LIMITS` for a workspace without limits."""
REQUEST_LOG: Final = "asked"
"""The name of the file that `bench.model.request_times` reads."""
_LINE_BYTES: Final = 16 << 20
_ROOT: Final = Path(__file__).parents[1]


class ProgramError(Exception):
    """A program of the bench failed; the message has the end of its log."""


@dataclass(slots=True)
class Program:
    """A process, and the log file of its standard error."""

    process: Process
    log: Path
    begins: int = 0
    """Start of its own part of the file: earlier processes may have written to the same file."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_tail(self) -> str:
        """The end of its standard error."""
        return self._written()[-3_000:]

    async def line(self, seconds: float = ANSWER_SECONDS) -> str:
        """The next line of its standard output. Raises `ProgramError` if there is none."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise ProgramError(
                f"no word within {seconds:g} s; its log:\n{self.log_tail()}"
            ) from None
        if not line:
            raise ProgramError(f"it has ended; its log:\n{self.log_tail()}")
        return line.decode().rstrip("\n")

    async def ask(self, **wanted: object) -> dict[str, object]:
        """Send one JSON object on a line and return the answer. Raises `ProgramError`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
        await self.process.stdin.drain()
        answer = json.loads(await self.line())
        if not isinstance(answer, dict) or "error" in answer:
            raise ProgramError(f"{wanted} is answered {answer}; its log:\n{self.log_tail()}")
        return answer

    async def until_it_says(self, words: str, seconds: float = START_SECONDS) -> None:
        """Wait for words on standard error. Raises `ProgramError` if they do not come."""
        try:
            async with asyncio.timeout(seconds):
                while words not in self._written():
                    if self.process.returncode is not None:
                        ended = f"it ended with {self.process.returncode}"
                        raise ProgramError(f"{ended}:\n{self.log_tail()}")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            late = f"no {words!r} within {seconds:g} s"
            raise ProgramError(f"{late}; its log:\n{self.log_tail()}") from None

    def _written(self) -> str:
        return self.log.read_bytes()[self.begins :].decode(errors="replace")

    def memory(self) -> int:
        """Resident memory of the process itself in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def memory_of_children(self) -> int:
        """Resident memory of its child processes in bytes: a bot's is the Copilot runtime."""
        children = psutil.Process(self.pid).children(recursive=True)
        return sum(int(child.memory_info().rss) for child in children)

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time in seconds of the process itself, and of its child processes."""
        own = psutil.Process(self.pid)
        return _cpu(own), sum(_cpu(child) for child in own.children(recursive=True))

    async def end(self) -> None:
        """Send SIGTERM, and SIGKILL after the timeout; wait until the process has ended."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@asynccontextmanager
async def running(
    *command: str, log: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run a process with pipes for standard input and output while inside."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as log_file:
        begins = log_file.tell()
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_ROOT,
            env={**os.environ, **(env or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log_file,
            limit=_LINE_BYTES,
        )
    program = Program(process, log, begins)
    try:
        yield program
    finally:
        await program.end()


@asynccontextmanager
async def running_model(folder: Path) -> AsyncIterator[str]:
    """Run the bench's model; yields its base URL. It logs its requests in
    `folder / REQUEST_LOG`."""
    command = (sys.executable, "-m", "bench.model", str(folder / REQUEST_LOG))
    async with running(*command, log=folder / "model.log") as model:
        line = await model.line(START_SECONDS)
        yield line.removeprefix(MODEL_READY)


def bot_environment(
    slack: SlackSide, model_url: str, folder: Path, **settings: str
) -> dict[str, str]:
    """The environment of a bot; `folder` is its data folder.

    Settings that are not given have their defaults. The environment and the `.env` file of the
    user who runs the bench have no effect.
    """
    return {
        **{setting.name: "" for setting in SETTINGS},
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_APP_TOKEN": "xapp-sandbox",
        "SLACK_API_URL": slack.api_url,
        "MODEL_BASE_URL": model_url,
        "DATA_DIR": str(folder),
        "MAX_TURNS_PER_USER": "1000",
        "SHUTDOWN_SECONDS": "5",
        **({} if slack.emulator.slack.app_config.rate_limits_enabled else {"SLACK_LIMITS": PLENTY}),
        **settings,
    }


@asynccontextmanager
async def running_bot(
    slack: SlackSide, model_url: str, folder: Path, **settings: str
) -> AsyncIterator[Program]:
    """Run the bot; yields it when it is connected to Slack. Its data and log are in `folder`."""
    env = bot_environment(slack, model_url, folder / "data", **settings)
    log = folder / "bot.log"
    async with running(sys.executable, "-m", "bot", "run", log=log, env=env) as bot:
        await bot.until_it_says(BOT_READY)
        yield bot


@asynccontextmanager
async def running_bare(model_url: str, folder: Path) -> AsyncIterator[Program]:
    """Run the bare SDK (`bench.bare`) with its runtime; `Program.ask` sends it requests."""
    command = (sys.executable, "-m", "bench.bare", model_url, str(folder / "data"))
    async with running(*command, log=folder / "bare.log") as bare:
        await bare.line(START_SECONDS)
        yield bare
