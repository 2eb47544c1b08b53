"""Runs the project's commands as processes forked from one that has already imported them.

To import all that the command needs takes 0.8 s of processor time: a test that starts three bots
would spend two seconds and more on that alone. Here the first one pays for all. The rest is as with
`python -m bot`: a process of its own, with its own environment, folder, pipes and signals, that
runs the real `main` and ends with its status.

Tests of the start itself start a new interpreter instead. Coverage is not measured in these
processes. Their code is measured in tests that run it in their own process, and in those that start
a new interpreter.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import BinaryIO, Final

Main = Callable[[Sequence[str]], int | None]
"""A command: takes its arguments and returns its exit status."""
Stream = int | BinaryIO | None
"""As for `asyncio.create_subprocess_exec`; None is `DEVNULL`."""

FORKING: Final = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    ["bot.cli.main", "bot.cli.run", "bot.cli.doctor", "bot.cli.sessions", "bot.cli.audit"]
)

_STARTING: Final = threading.Lock()
_COVERAGE: Final = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Environment variables that make a new interpreter measure its coverage."""


class Process:
    """A process with the interface of `asyncio.subprocess.Process`, as far as the tests use it."""

    def __init__(self, process: BaseProcess, stdin: StreamWriter | None) -> None:
        """Wrap a process that has been started."""
        assert process.pid is not None
        self.pid = process.pid
        self._process = process
        self._ended = asyncio.Event()
        self.returncode: int | None = None
        self.stdin = stdin
        self.stdout: StreamReader | None = None
        self.stderr: StreamReader | None = None
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    async def wait(self) -> int:
        """The exit status, once the process has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self, given: bytes = b"") -> tuple[bytes, bytes]:
        """The process's standard output and error until it ends, with `given` on standard input."""
        if self.stdin is not None:
            with suppress(ConnectionError):
                self.stdin.write(given)
                await self.stdin.drain()
            self._close_stdin()
        out, err = await asyncio.gather(_all_of(self.stdout), _all_of(self.stderr))
        await self.wait()
        return out, err

    def send_signal(self, sent: int) -> None:
        """Send a signal, if the process has not ended."""
        if self.returncode is None:
            os.kill(self.pid, sent)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self.returncode = self._process.exitcode
        self._process.close()
        self._close_stdin()
        self._ended.set()

    def _close_stdin(self) -> None:
        if self.stdin is not None:
            self.stdin.close()


async def start(
    main: Main,
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: int | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    umask: int = 0o022,
) -> Process:
    """Start a command with only this environment.

    Parameters are as for `asyncio.create_subprocess_exec`; standard input is `PIPE` or nothing.
    """
    with ExitStack() as ours:
        writer, given = await _stdin(ours) if stdin == PIPE else (None, None)
        out, to_out = await _output(ours, stdout)
        err, to_err = (None, to_out) if stderr == STDOUT else await _output(ours, stderr)
        spec = _ProcessSpec(main, arguments, dict(env), cwd or Path.cwd(), umask)
        streams = [
            None if each is None else _PassedDescriptor(each) for each in (given, to_out, to_err)
        ]
        process = FORKING.Process(target=_run, args=(spec, streams), daemon=True)
        await asyncio.to_thread(start_forked, process)
    started = Process(process, writer)
    started.stdout, started.stderr = out, err
    return started


def start_forked(process: BaseProcess) -> None:
    """Start a process of `FORKING`."""
    with _STARTING:
        measured = {name: os.environ.pop(name) for name in _COVERAGE if name in os.environ}
        try:
            ensure_running()
        finally:
            os.environ.update(measured)
    process.start()


async def _stdin(ours: ExitStack) -> tuple[StreamWriter, int]:
    """A writer, and the end that the process reads. It is a socket, because asyncio can write to
    one directly."""
    mine, theirs = socket.socketpair()
    ours.callback(theirs.close)
    _, writer = await asyncio.open_connection(sock=mine)
    return writer, theirs.fileno()


async def _output(ours: ExitStack, stream: Stream) -> tuple[StreamReader | None, int | None]:
    """A reader if a pipe is wanted, and the descriptor to which the process writes."""
    if stream is None or stream == DEVNULL:
        return None, None
    if stream != PIPE:
        return None, stream if isinstance(stream, int) else stream.fileno()
    read, write = os.pipe()
    ours.callback(os.close, write)
    reader = StreamReader()
    pipe = os.fdopen(read, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
    return reader, write


async def _all_of(stream: StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


# In the process ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ProcessSpec:
    """The parameters with which a process is started."""

    main: Main
    arguments: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    umask: int


class _PassedDescriptor:
    """A file descriptor that is passed to the process, where it becomes a number again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[..., int], tuple[object]]:
        return _received, (DupFd(self._descriptor),)


def _received(handed: DupFd) -> int:  # type: ignore[valid-type]  # what it is depends on the context
    descriptor: int = handed.detach()  # type: ignore[attr-defined]
    return descriptor


def _run(spec: _ProcessSpec, streams: Sequence[int | None]) -> None:
    """Run the command in the process, as if it had just been started."""
    for number, stream in enumerate(streams):
        other = os.open(os.devnull, os.O_RDWR) if stream is None else stream
        os.dup2(other, number)
        os.close(other)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.environ.clear()
    os.environ.update(spec.env)
    time.tzset()
    os.chdir(spec.cwd)
    os.umask(spec.umask)
    sys.argv = ["threadpilot", *spec.arguments]
    sys.exit(spec.main(spec.arguments))
