"""One run of the Copilot runtime process: started, watched, ended. Once gone it stays gone.

The SDK's calls can wait for ever when the process dies or freezes (measured with 1.0.25): every
call goes through `FakeAgent.call`, which bounds it and ends with the process, and a watch looks
after the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil
from copilot import CopilotClient, CopilotSession, RuntimeConnection, TelemetryConfig

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.copilot.install import RuntimeDirs, find_runtime, make_runtime_dirs, runtime_environment
from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk_compat import (
    Process,
    close_pipes,
    discard_session,
    filter_events,
    ignore_late_responses,
    is_disconnected,
    is_process_gone,
    is_unsupported,
    process_of,
)
from bot.errors import AgentError, AgentErrorKind

log = logging.getLogger(__name__)

T = TypeVar("T")

START_SECONDS = 40.0
"""Takes 0.02 s (measured); the command line tool takes a second, and unpacks 235 MB first."""
CALL_SECONDS = 15.0
"""Calls answer within milliseconds, a busy machine's within a second or two."""
STOP_SECONDS = 5.0
KILL_SECONDS = 8.0
POLL_SECONDS = 0.5
"""How often the process is looked at: a death is noticed within this time."""
PING_EVERY = 10
"""Looks between two pings, which find a process that is there but frozen."""
PING_SECONDS = 10.0

LOCK_FILE = "runtime.lock"
"""Held by a runtime for as long as it lives. Where a bot was killed, its runtime writes into the
histories for another 30 to 80 ms (measured, idle machine): the next bot's must not read them
before."""
_LAUNCH_SCRIPT = """
import fcntl, os, sys, time
os.setsid()
path, seconds, *runtime = sys.argv[1:]
until = time.monotonic() + float(seconds)
lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
while time.monotonic() < until:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except OSError:
        time.sleep(0.01)
os.set_inheritable(lock, True)
os.execv(runtime[0], runtime)
"""
"""What becomes the runtime. In a session of its own it does not get the terminal's Ctrl-C: running
turns may finish."""
PREVIOUS_RUNTIME_SECONDS = 10.0
"""So long the next one waits for the last one's end; then it starts all the same."""


class RuntimeGone(Exception):
    """The process went while a call waited for its answer."""


class Runtime:
    """A started runtime. `FakeAgent.start` makes one."""

    def __init__(self, client: CopilotClient, process: Process, options: RuntimeOptions) -> None:
        self.client = client
        self.gone = False
        """Whether the process has ended or was given up."""
        self._options = options
        self._process = process
        self._gone_listeners: set[Callable[[str], None]] = set()
        self._detaching: dict[str, asyncio.Future[None]] = {}
        """The sessions that it was asked to let go of and has not said that it has."""
        self._monitor = asyncio.create_task(self._monitor_process())

    @classmethod
    async def start(cls, options: RuntimeOptions, model: str) -> Runtime:
        """Start the process and wait until it answers. Raises `AgentError`, a passing one where it
        is there and does not come up; bounded to 40 s, and 8 s for clearing away what did not
        start."""
        program_path = await asyncio.to_thread(find_runtime, options.cli_path)
        dirs = await asyncio.to_thread(make_runtime_dirs, options.data_dir)
        # The SDK logs a traceback for every refused call; what matters is logged by us.
        logging.getLogger("copilot").setLevel(logging.CRITICAL)
        ignore_late_responses(asyncio.get_running_loop())
        client = _make_client(options, dirs, model, _launch_command(dirs, str(program_path)))
        began = time.monotonic()
        try:
            async with time_limit(SYSTEM_CLOCK, START_SECONDS):
                await client.start()
            filter_events(client)
        except BaseException as error:
            await asyncio.shield(_kill(client))
            if not isinstance(error, Exception):
                raise
            detail = options.sanitize_for_log(error) or f"no answer within {START_SECONDS:g} s"
            detail = f"the Copilot runtime did not start: {detail}"
            raise AgentError(AgentErrorKind.RUNTIME, detail, transient=True) from error
        process = process_of(client)
        if process is None:
            detail = "the Copilot runtime has no process"
            raise AgentError(AgentErrorKind.RUNTIME, detail, transient=True)
        took = time.monotonic() - began
        if took >= PREVIOUS_RUNTIME_SECONDS:
            log.warning("the runtime took %.0f s to start: does an old one still run?", took)
        log.info("the Copilot runtime runs")
        return cls(client, process, options)

    def add_gone_listener(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Be told why the runtime went; at once when it has. Returns what takes that back."""
        if self.gone:
            listener("it has gone")
        self._gone_listeners.add(listener)
        return lambda: self._gone_listeners.discard(listener)

    async def call(self, operation: str, rpc: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
        """The answer of one SDK call. Raises `AgentError` for every trouble: UNSUPPORTED when the
        runtime has no such function, else RUNTIME, and then at once when the process goes."""
        try:
            async with time_limit(SYSTEM_CLOCK, seconds):
                return await self._await_unless_gone(rpc)
        except TimeoutError as error:
            raise AgentError(
                AgentErrorKind.RUNTIME,
                f"{operation}: the runtime did not answer within {seconds:g} s",
            ) from error
        except Exception as error:
            if is_process_gone(error) or is_disconnected(self.client):
                # Sooner than the watch: whoever asks again now must not get this runtime.
                self._mark_gone("its pipe is closed")
            kind = AgentErrorKind.UNSUPPORTED if is_unsupported(error) else AgentErrorKind.RUNTIME
            raise AgentError(
                kind, f"{operation}: {self._options.sanitize_for_log(error)}"
            ) from error

    async def _await_unless_gone(self, rpc: Awaitable[T]) -> T:
        """The answer of a call; `RuntimeGone` when the process goes first, for then there is
        none."""
        gone = asyncio.Event()
        unsubscribe = self.add_gone_listener(lambda _: gone.set())
        answer, death = asyncio.ensure_future(rpc), asyncio.create_task(gone.wait())
        try:
            await asyncio.wait({answer, death}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise RuntimeGone("the runtime went before it answered")
        finally:
            unsubscribe()
            answer.cancel()
            death.cancel()

    def memory_bytes(self) -> int:
        """How much memory the process and those that it started take, in bytes; 0 when it has
        gone. Reads /proc or what there is instead: not for the loop."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return 0
        return sum(map(_resident_bytes, family))

    async def detach(self, session: CopilotSession, seconds: float) -> None:
        """Let go of a session; a running answer ends with it. Raises `AgentError`."""
        detaching = asyncio.ensure_future(session.disconnect())
        self._detaching[session.session_id] = detaching
        detaching.add_done_callback(lambda ended: self._on_detached(session, ended))
        await self.call("detach", asyncio.shield(detaching), seconds)

    async def open_session(
        self, operation: str, session_id: str, rpc: Awaitable[CopilotSession]
    ) -> CopilotSession:
        """The session that an SDK call resumes or creates. A caller that is cancelled, or for whom
        it takes too long, leaves no session open: `until_let_go` waits for its end.

        Raises `AgentError`, as `call` does."""
        opening = asyncio.ensure_future(rpc)
        try:
            return await self.call(operation, asyncio.shield(opening))
        except BaseException:
            detaching = asyncio.create_task(self._abandon(opening), name="abandoning a session")
            self._detaching[session_id] = detaching
            detaching.add_done_callback(lambda ended: self._discard_detaching(session_id, ended))
            raise

    async def _abandon(self, opening: asyncio.Future[CopilotSession]) -> None:
        """Let go of a session that nobody waits for any more, once the runtime has opened it: the
        runtime goes on with a call that it has got (measured). Raises nothing."""
        try:
            async with time_limit(SYSTEM_CLOCK, CALL_SECONDS):
                session = await opening
                await session.disconnect()
        except Exception as error:  # it did not open, or it is the runtime's to close
            log.debug("a session that nobody waited for was not closed: %r", error)
        else:
            discard_session(self.client, session)

    async def wait_detached(self, session_id: str) -> None:
        """Wait until a session is let go of that was not in time: opened before, it would be taken
        away again (measured). Raises `AgentError`."""
        detaching = self._detaching.get(session_id)
        if detaching is not None:
            await self.call("detach", asyncio.wait({detaching}))

    def _on_detached(self, session: CopilotSession, task: asyncio.Future[None]) -> None:
        self._discard_detaching(session.session_id, task)
        # What went wrong is told to whoever waited; if nobody did, there is nobody to be told.
        if not task.cancelled() and task.exception() is None:
            discard_session(self.client, session)

    def _discard_detaching(self, session_id: str, task: asyncio.Future[None]) -> None:
        if self._detaching.get(session_id) is task:
            del self._detaching[session_id]

    async def stop(self) -> None:
        """End the process: asked first, then killed. Bounded; raises nothing."""
        if self.gone:
            await self.wait_cleaned_up()
            return
        self._mark_gone("it was stopped")
        self._monitor.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.client.stop()
        except Exception as error:  # what is left is killed, whatever the reason
            log.debug("the runtime did not stop by itself: %r", error)
            await _kill(self.client)
        close_pipes(self._process)

    async def wait_cleaned_up(self) -> None:
        """Wait until nothing is left of a runtime that has gone. Bounded; raises nothing."""
        await asyncio.wait([self._monitor])

    def _mark_gone(self, reason: str) -> None:
        if self.gone:
            return
        self.gone = True
        for listener in tuple(self._gone_listeners):
            listener(reason)

    async def _monitor_process(self) -> None:
        reason = await self._wait_for_failure()
        log.error("the Copilot runtime is gone: %s", reason)
        self._mark_gone(reason)
        await _kill(self.client)

    async def _wait_for_failure(self) -> str:
        polls = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            polls += 1
            if self._process.poll() is not None:
                return f"it ended with status {self._process.returncode}"
            if self.gone:
                return "its pipe is closed"
            if polls % PING_EVERY == 0:
                try:
                    await self.call("ping", self.client.ping(), PING_SECONDS)
                except AgentError as error:
                    return f"it does not answer ({error})"


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has ended meanwhile
        return 0


def _launch_command(dirs: RuntimeDirs, program_path: str) -> list[str]:
    """What is run: the runtime, once the one before it has ended."""
    if sys.platform == "win32":
        return [program_path]
    lock = dirs.state.parent / LOCK_FILE
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _LAUNCH_SCRIPT,
        str(lock),
        str(PREVIOUS_RUNTIME_SECONDS),
        program_path,
    ]


def _make_client(
    options: RuntimeOptions, dirs: RuntimeDirs, model: str, command: list[str]
) -> CopilotClient:
    program, *arguments = command
    return CopilotClient(
        connection=RuntimeConnection.for_stdio(path=program, args=arguments),
        base_directory=str(dirs.state),
        working_directory=str(dirs.work),
        # Nothing of a developer's machine: no tools, skills, plugins, git or telemetry by default.
        mode="empty",
        env=runtime_environment(options, dirs, model, os.environ),
        github_token=None if options.base_url else options.github_token or None,
        use_logged_in_user=False,
        # Its log files are never rotated.
        log_level="none",
        telemetry=_telemetry_config(options.otlp_endpoint),
    )


def _telemetry_config(endpoint: str) -> TelemetryConfig | None:
    """Where the runtime's own spans go, as parts of ours, without what people and the model say."""
    if not endpoint:
        return None
    return TelemetryConfig(
        otlp_endpoint=endpoint,
        otlp_protocol="http/protobuf",
        exporter_type="otlp-http",
        capture_content=False,
    )


async def _kill(client: CopilotClient) -> None:
    process = process_of(client)
    try:
        async with asyncio.timeout(KILL_SECONDS):
            await client.force_stop()
    except Exception as error:  # there is nothing more to be done about it
        log.warning("the runtime could not be killed: %r", error)
    if process is not None:
        close_pipes(process)
