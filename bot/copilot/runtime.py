"""Starts, monitors and stops one process of the Copilot runtime.

The SDK's calls can wait without end when the process dies or freezes (measured with 1.0.25). So
every call goes through `Runtime.call`, which has a timeout and ends with the process. A task
monitors the process. A runtime that has gone is not started again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
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
"""Timeout for a start, in seconds. A start takes 0.02 s (measured). The command line tool takes a
second, and unpacks 235 MB first."""
CALL_SECONDS = 15.0
"""Timeout for a call, in seconds. The answer takes milliseconds, on a busy machine a second or
two."""
STOP_SECONDS = 5.0
"""Timeout for a stop, in seconds. Then the process is killed."""
KILL_SECONDS = 8.0
"""Timeout for killing the process, in seconds."""
POLL_SECONDS = 0.5
"""Interval between two checks of the process, in seconds. An exit is noticed within this time."""
PING_EVERY = 10
"""Number of checks between two pings. A ping finds a process that is frozen."""
PING_SECONDS = 10.0
"""Timeout for a ping, in seconds."""

LOCK_FILE = "runtime.lock"
"""A file that a runtime locks while it lives. After the bot was killed, its runtime writes into the
histories for another 30 to 80 ms (measured, idle machine). The next runtime must not read them
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
"""A script that waits for the lock and then becomes the runtime. It runs in its own process session
and so does not receive the terminal's Ctrl-C: running turns may finish."""
PREVIOUS_RUNTIME_SECONDS = 10.0
"""Timeout for the exit of the previous runtime, in seconds. Then the next one starts anyway."""


class RuntimeGone(Exception):
    """The process ended while a call waited for its answer."""


class Runtime:
    """A started runtime. `Runtime.start` makes one."""

    def __init__(self, client: CopilotClient, process: Process, options: RuntimeOptions) -> None:
        self.client = client
        self.gone = False
        """True if the process has ended, or was found unusable."""
        self._options = options
        self._process = process
        self._gone_listeners: set[Callable[[str], None]] = set()
        self._detaching: dict[str, asyncio.Task[None]] = {}
        """The sessions that are being detached, until the runtime confirms it."""
        self._monitor = asyncio.create_task(self._monitor_process())

    @classmethod
    async def start(cls, options: RuntimeOptions, model: str) -> Runtime:
        """Start the process and wait until it answers.

        Raises `AgentError`, a transient one if the program exists but does not start. Bounded to
        40 s, and 8 s for killing a process that does not start.
        """
        program_path = await asyncio.to_thread(find_runtime, options.cli_path)
        dirs = await asyncio.to_thread(make_runtime_dirs, options.data_dir)
        # The SDK logs a traceback for every refused call. The bot logs what matters.
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
            log.warning("runtime started slowly, an old one may still run: seconds=%.0f", took)
        log.info("runtime started: seconds=%.2f", took)
        return cls(client, process, options)

    def add_gone_listener(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call the listener with the reason when the runtime goes, or at once if it has gone.

        Returns a function that removes the listener.
        """
        if self.gone:
            listener("it has gone")
        self._gone_listeners.add(listener)
        return lambda: self._gone_listeners.discard(listener)

    async def call(self, operation: str, rpc: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
        """The answer of one SDK call, within `seconds`.

        Raises `AgentError` for every failure: UNSUPPORTED if the runtime has no such function, else
        RUNTIME. Raises at once when the process ends.
        """
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
                # Before the monitor notices: the next caller must not get this runtime.
                self._mark_gone("its pipe is closed")
            kind = AgentErrorKind.UNSUPPORTED if is_unsupported(error) else AgentErrorKind.RUNTIME
            raise AgentError(
                kind, f"{operation}: {self._options.sanitize_for_log(error)}"
            ) from error

    async def _await_unless_gone(self, rpc: Awaitable[T]) -> T:
        """The answer of a call. Raises `RuntimeGone` if the process ends first."""
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
        """Memory of the process and its children, in bytes, or 0 if it has ended.

        Reads /proc or its equivalent, so it must not run on the event loop.
        """
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return 0
        return sum(map(_resident_bytes, family))

    async def detach(self, session: CopilotSession, seconds: float) -> None:
        """Detach a session. A running answer ends with it. Raises `AgentError`."""
        detaching = self._start_detaching(session.session_id, self._disconnect(session))
        await self.call("detach", asyncio.shield(detaching), seconds)

    async def open_session(
        self, operation: str, session_id: str, rpc: Awaitable[CopilotSession]
    ) -> CopilotSession:
        """The session that an SDK call resumes or creates.

        If the caller is cancelled or the call takes too long, the session is closed later, and
        `wait_detached` waits for that. Raises `AgentError`, as `call` does.
        """
        opening = asyncio.ensure_future(rpc)
        try:
            return await self.call(operation, asyncio.shield(opening))
        except BaseException:
            failed = opening.done() and (opening.cancelled() or opening.exception() is not None)
            if not failed:
                self._start_detaching(session_id, self._abandon(opening))
            raise

    async def _abandon(self, opening: asyncio.Future[CopilotSession]) -> None:
        """Close a session whose caller has gone, once the runtime has opened it.

        The runtime completes a call that it has received (measured).
        """
        async with time_limit(SYSTEM_CLOCK, CALL_SECONDS):
            await self._disconnect(await opening)

    async def _disconnect(self, session: CopilotSession) -> None:
        await session.disconnect()
        discard_session(self.client, session)

    def _start_detaching(
        self, session_id: str, work: Coroutine[object, object, None]
    ) -> asyncio.Task[None]:
        """Detach a session in a task, for which `wait_detached` waits."""
        detaching = asyncio.create_task(work, name=f"detaching session {session_id}")
        self._detaching[session_id] = detaching
        detaching.add_done_callback(lambda task: self._on_detached(session_id, task))
        return detaching

    async def wait_detached(self, session_id: str) -> None:
        """Wait until a session is detached that did not detach in time. Raises `AgentError`.

        If it were opened before, the late detach would close it again (measured).
        """
        detaching = self._detaching.get(session_id)
        if detaching is not None:
            await self.call("detach", asyncio.wait({detaching}))

    def _on_detached(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._detaching.get(session_id) is task:
            del self._detaching[session_id]
        # The waiting caller gets the error. Without a caller it has no effect.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("session not detached: session=%s error=%r", session_id, error)

    async def stop(self) -> None:
        """End the process: stop it, or kill it if it does not stop. Bounded; raises nothing."""
        if self.gone:
            await self.wait_cleaned_up()
            return
        self._mark_gone("it was stopped")
        self._monitor.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.client.stop()
        except Exception as error:  # for any reason: kill it
            log.debug("runtime did not stop and is killed: error=%r", error)
            await _kill(self.client)
        close_pipes(self._process)

    async def wait_cleaned_up(self) -> None:
        """Wait until the processes of a runtime that has gone are killed. Bounded; raises
        nothing."""
        await asyncio.wait([self._monitor])

    def _mark_gone(self, reason: str) -> None:
        if self.gone:
            return
        self.gone = True
        for listener in tuple(self._gone_listeners):
            listener(reason)

    async def _monitor_process(self) -> None:
        reason = await self._wait_for_failure()
        log.error("runtime gone: reason=%s", reason)
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
    except psutil.Error:  # it has ended since
        return 0


def _launch_command(dirs: RuntimeDirs, program_path: str) -> list[str]:
    """The command that starts the runtime once the previous one has ended."""
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
        # Without a developer's defaults: no tools, skills, plugins, git or telemetry.
        mode="empty",
        env=runtime_environment(options, dirs, model, os.environ),
        github_token=None if options.base_url else options.github_token or None,
        use_logged_in_user=False,
        # Its log files are never rotated.
        log_level="none",
        telemetry=_telemetry_config(options.otlp_endpoint),
    )


def _telemetry_config(endpoint: str) -> TelemetryConfig | None:
    """The telemetry config of the runtime, or None without an endpoint.

    Its spans become children of the bot's, without the texts of users and models.
    """
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
    except Exception as error:  # nothing more can be done
        log.warning("runtime could not be killed: error=%r", error)
    if process is not None:
        close_pipes(process)
