"""Runs the whole bot in its own process, which kills itself (`kill -9`) before or after one step.

A step is a call to Slack, a commit of the database, a request to the runtime or an
acknowledgement. The recorder wraps the clients of the outside in this process only, so the bot
does not notice it. The process is forked from one that has already imported the bot, so that a
start takes less than a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import aiohttp
from copilot._jsonrpc import JsonRpcClient
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from yarl import URL

from bot.cli import main as command
from bot.cli.run import READY
from bot.store.sqlite.write_queue import WriteQueue
from tests.forked_processes import FORKING, start_forked

T = TypeVar("T")

When = Literal["before", "after"]

ACKNOWLEDGE: Final = "acknowledge"
START_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
KILLED: Final = -signal.SIGKILL


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One action of the bot on the outside: its name, and its number among those of that name."""

    name: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


def commit_of(query: Callable[..., object]) -> Step:
    """The first commit of a query function of the store."""
    return Step(f"commit {query.__name__.strip('_')}")


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """The moment at which a bot kills itself."""

    step: Step
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _CrashSpec:
    """Arguments of a new process."""

    env: dict[str, str]
    folder: Path
    death: CrashPoint | None


class CrashingBot:
    """The parent's side of a process that runs the whole bot."""

    def __init__(self, env: dict[str, str], folder: Path, death: CrashPoint | None = None) -> None:
        """Prepare the process; `folder` belongs to it and holds its stderr and its steps."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        spec = _CrashSpec(env=env, folder=folder, death=death)
        self._process: BaseProcess = FORKING.Process(target=_run_bot, args=(spec,), daemon=True)

    async def start(self) -> None:
        """Start the process and wait until it is connected to Slack, or dead."""
        start_forked(self._process)
        await _until(lambda: READY in self.stderr or not self.alive, START_SECONDS)

    def watch(self) -> None:
        """Count its steps from now on."""
        (self._folder / "watched").touch()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def killed(self) -> bool:
        """True if it died by `kill -9`, its own or ours."""
        return self._process.exitcode == KILLED

    @property
    def status(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    @property
    def stderr(self) -> str:
        """Its output on standard error so far, or an empty string."""
        stderr = self._folder / "stderr"
        return stderr.read_text(encoding="utf-8", errors="replace") if stderr.exists() else ""

    @property
    def steps(self) -> list[Step]:
        """The steps since `watch` was called, in order."""
        done = self._folder / "steps"
        lines = done.read_text(encoding="utf-8").splitlines() if done.exists() else []
        pairs = (line.rpartition("#") for line in lines)
        return [Step(name, int(number)) for name, _, number in pairs]

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    async def ended(self, seconds: float = 30.0) -> None:
        """Wait until the process has ended. Raises `TimeoutError`."""
        await _until(lambda: not self.alive, seconds)

    async def kill(self) -> None:
        """Kill the process if it runs."""
        if self._process.pid is None:
            return
        self._process.kill()
        await self.ended()


async def _until(what: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if what():
                return
            await asyncio.sleep(LOOK_SECONDS)


# In the process ----------------------------------------------------------------------------------


def _run_bot(spec: _CrashSpec) -> None:
    """Run the bot until the process ends."""
    with (spec.folder / "stderr").open("wb") as stderr:
        os.dup2(stderr.fileno(), 2)
    os.environ.update(spec.env)
    _record_steps(_StepRecorder(spec))
    sys.exit(command.main(["run"]))


class _StepRecorder:
    """Counts the steps and kills the process at its crash point."""

    def __init__(self, spec: _CrashSpec) -> None:
        self._death = spec.death
        self._watched = spec.folder / "watched"
        self._recording = False
        self._counts: Counter[str] = Counter()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._done = os.open(spec.folder / "steps", flags, 0o600)

    async def cross(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Record a step, do its work and return the result."""
        self._recording = self._recording or self._watched.exists()
        if not self._recording:
            return await work()
        self._counts[name] += 1
        step = Step(name, self._counts[name])
        os.write(self._done, f"{step}\n".encode())
        self._crash_at(step, "before")
        try:
            return await work()
        finally:  # also after an error: that is an answer, too
            self._crash_at(step, "after")

    def _crash_at(self, step: Step, when: When) -> None:
        if self._death == CrashPoint(step, when):
            os.kill(os.getpid(), signal.SIGKILL)


Method = Callable[..., Coroutine[Any, Any, Any]]


def _record_steps(recorder: _StepRecorder) -> None:
    """Wrap every method through which the bot reaches the outside."""

    def around(method: Method, name_of: Callable[..., str]) -> Method:
        async def crossing(self: object, *arguments: object, **named: object) -> object:
            name = name_of(*arguments, **named)
            return await recorder.cross(name, partial(method, self, *arguments, **named))

        return crossing

    web = aiohttp.ClientSession
    web._request = around(web._request, _method_called)  # type: ignore[method-assign]  # noqa: SLF001
    WriteQueue.submit = around(WriteQueue.submit, _write_done)  # type: ignore[method-assign]
    runtime = JsonRpcClient
    runtime.request = around(runtime.request, _request_sent)  # type: ignore[method-assign]
    runtime.notify = around(runtime.notify, _request_sent)  # type: ignore[method-assign]
    connection = SocketModeClient
    connection.send_message = around(connection.send_message, _acknowledged)  # type: ignore[method-assign]


def _method_called(method: str, url: str | URL, **_: object) -> str:
    del method
    name = URL(url).path.rstrip("/").rpartition("/")[2]
    return name if "." in name else f"http {URL(url).path.strip('/').partition('/')[0]}"


def _write_done(write: Callable[..., object]) -> str:
    while isinstance(write, partial):
        write = write.func
    return f"commit {getattr(write, '__name__', 'something').strip('_')}"


def _request_sent(method: str, *_: object, **__: object) -> str:
    return f"runtime {method}"


def _acknowledged(*_: object, **__: object) -> str:
    return ACKNOWLEDGE
