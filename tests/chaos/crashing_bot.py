"""The whole bot in a process of its own that kills itself at one step: `kill -9`, right before or
right after something that it does to the outside.

A step is a call to Slack, a commit of the database, a request to the runtime or an
acknowledgement. It is watched at the border to the outside, in this process only; the bot itself
knows nothing of it. The process is forked from one that has imported the bot already, so that a
start costs no second.
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
    """One thing that the bot does to the outside: its name, and how many of that name it is."""

    name: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """Where a bot dies."""

    step: Step
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _CrashSpec:
    """What a process is started with."""

    env: dict[str, str]
    folder: Path
    death: CrashPoint | None


class CrashingBot:
    """A process with a whole bot in it, from the parent's side."""

    def __init__(self, env: dict[str, str], folder: Path, death: CrashPoint | None = None) -> None:
        """`folder` is this process's own, for what it says and does."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        spec = _CrashSpec(env=env, folder=folder, death=death)
        self._process: BaseProcess = FORKING.Process(target=_run_bot, args=(spec,), daemon=True)

    async def start(self) -> None:
        """Start it, and wait until it hears Slack, or is dead."""
        start_forked(self._process)
        await _until(lambda: READY in self.stderr or not self.alive, START_SECONDS)

    def watch(self) -> None:
        """From now on its steps count."""
        (self._folder / "watched").touch()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def killed(self) -> bool:
        """Whether it died by `kill -9`, its own or ours."""
        return self._process.exitcode == KILLED

    @property
    def status(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.exitcode

    @property
    def stderr(self) -> str:
        """What it wrote to standard error."""
        stderr = self._folder / "stderr"
        return stderr.read_text(encoding="utf-8", errors="replace") if stderr.exists() else ""

    @property
    def steps(self) -> list[Step]:
        """What it has done to the outside since it is watched, in order."""
        done = self._folder / "steps"
        lines = done.read_text(encoding="utf-8").splitlines() if done.exists() else []
        pairs = (line.rpartition("#") for line in lines)
        return [Step(name, int(number)) for name, _, number in pairs]

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    async def ended(self, seconds: float = 30.0) -> None:
        """Wait for its end. Raises `TimeoutError`."""
        await _until(lambda: not self.alive, seconds)

    async def kill(self) -> None:
        """End it, if it lives."""
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
    """Be a bot until the end."""
    with (spec.folder / "stderr").open("wb") as stderr:
        os.dup2(stderr.fileno(), 2)
    os.environ.update(spec.env)
    _record_steps(_StepRecorder(spec))
    sys.exit(command.main(["run"]))


class _StepRecorder:
    """Counts what crosses it, and dies where it is told."""

    def __init__(self, spec: _CrashSpec) -> None:
        self._death = spec.death
        self._watched = spec.folder / "watched"
        self._recording = False
        self._counts: Counter[str] = Counter()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._done = os.open(spec.folder / "steps", flags, 0o600)

    async def cross(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a step, unless it is the last one that is never done."""
        self._recording = self._recording or self._watched.exists()
        if not self._recording:
            return await work()
        self._counts[name] += 1
        step = Step(name, self._counts[name])
        os.write(self._done, f"{step}\n".encode())
        self._crash_at(step, "before")
        try:
            return await work()
        finally:  # also where it was refused: that is an answer, too
            self._crash_at(step, "after")

    def _crash_at(self, step: Step, when: When) -> None:
        if self._death == CrashPoint(step, when):
            os.kill(os.getpid(), signal.SIGKILL)


Method = Callable[..., Coroutine[Any, Any, Any]]


def _record_steps(recorder: _StepRecorder) -> None:
    """Put the border around everything through which the bot reaches the outside."""

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
