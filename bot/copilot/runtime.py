"""One run of the Copilot runtime process: started, watched, ended. Once gone it stays gone.

The SDK's calls can wait for ever when the process dies or freezes (measured with 1.0.25): every
call goes through `Runtime.call`, which bounds it and ends with the process, and a watch looks after
the process.
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

from bot.clock import REAL, time_limit
from bot.copilot.install import Folders, environment, find_runtime, make_folders
from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk_compat import (
    Process,
    close_pipes,
    forget,
    has_ended,
    hear_less,
    is_cut_off,
    is_missing,
    leave_out_late_answers,
    process_of,
)
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

T = TypeVar("T")

START_SECONDS = 40.0
"""Takes 0.02 s (measured); the command line tool takes a second, and unpacks 235 MB first."""
CALL_SECONDS = 15.0
"""Calls answer within milliseconds, a busy machine's within a second or two."""
STOP_SECONDS = 5.0
KILL_SECONDS = 8.0
LOOK_SECONDS = 0.5
"""How often the process is looked at: a death is noticed within this time."""
PING_EVERY = 10
"""Looks between two pings, which find a process that is there but frozen."""
PING_SECONDS = 10.0

LOCK = "runtime.lock"
"""Held by a runtime for as long as it lives. Where a bot was killed, its runtime writes into the
histories for another 30 to 80 ms (measured, idle machine): the next bot's must not read them
before."""
_LAUNCH = """
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
LAST_ONE_SECONDS = 10.0
"""So long the next one waits for the last one's end; then it starts all the same."""


class GoneError(Exception):
    """The process went while a call waited for its answer."""


class Runtime:
    """A started runtime. `Runtime.start` makes one."""

    def __init__(self, client: CopilotClient, process: Process, options: RuntimeOptions) -> None:
        self.client = client
        self.gone = False
        """Whether the process has ended or was given up."""
        self._options = options
        self._process = process
        self._listeners: set[Callable[[str], None]] = set()
        self._leaving: dict[str, asyncio.Future[None]] = {}
        """The sessions that it was asked to let go of and has not said that it has."""
        self._watch = asyncio.create_task(self._watch_process())

    @classmethod
    async def start(cls, options: RuntimeOptions, model: str) -> Runtime:
        """Start the process and wait until it answers. Raises `AgentError`, a passing one where it
        is there and does not come up; bounded to 40 s, and 8 s for clearing away what did not
        start."""
        binary = await asyncio.to_thread(find_runtime, options.cli_path)
        folders = await asyncio.to_thread(make_folders, options.data_dir)
        # The SDK logs a traceback for every refused call; what matters is logged by us.
        logging.getLogger("copilot").setLevel(logging.CRITICAL)
        leave_out_late_answers(asyncio.get_running_loop())
        client = _client(options, folders, model, _command(folders, str(binary)))
        began = time.monotonic()
        try:
            async with time_limit(REAL, START_SECONDS):
                await client.start()
            hear_less(client)
        except BaseException as error:
            await asyncio.shield(_kill(client))
            if not isinstance(error, Exception):
                raise
            detail = options.without_secrets(error) or f"no answer within {START_SECONDS:g} s"
            detail = f"the Copilot runtime did not start: {detail}"
            raise AgentError(AgentFault.RUNTIME, detail, passing=True) from error
        process = process_of(client)
        if process is None:
            detail = "the Copilot runtime has no process"
            raise AgentError(AgentFault.RUNTIME, detail, passing=True)
        took = time.monotonic() - began
        if took >= LAST_ONE_SECONDS:
            log.warning("the runtime took %.0f s to start: does an old one still run?", took)
        log.info("the Copilot runtime runs")
        return cls(client, process, options)

    def when_gone(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Be told why the runtime went; at once when it has. Returns what takes that back."""
        if self.gone:
            listener("it has gone")
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def call(self, what: str, rpc: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
        """The answer of one SDK call. Raises `AgentError` for every trouble: UNSUPPORTED when the
        runtime has no such function, else RUNTIME, and then at once when the process goes."""
        try:
            async with time_limit(REAL, seconds):
                return await self._unless_gone(rpc)
        except TimeoutError as error:
            raise AgentError(
                AgentFault.RUNTIME, f"{what}: the runtime did not answer within {seconds:g} s"
            ) from error
        except Exception as error:
            if has_ended(error) or is_cut_off(self.client):
                # Sooner than the watch: whoever asks again now must not get this runtime.
                self._went("its pipe is closed")
            fault = AgentFault.UNSUPPORTED if is_missing(error) else AgentFault.RUNTIME
            raise AgentError(fault, f"{what}: {self._options.without_secrets(error)}") from error

    async def _unless_gone(self, rpc: Awaitable[T]) -> T:
        """The answer of a call; `GoneError` when the process goes first, for then there is none."""
        gone = asyncio.Event()
        stop_listening = self.when_gone(lambda _: gone.set())
        answer, death = asyncio.ensure_future(rpc), asyncio.create_task(gone.wait())
        try:
            await asyncio.wait({answer, death}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise GoneError("the runtime went before it answered")
        finally:
            stop_listening()
            answer.cancel()
            death.cancel()

    def memory(self) -> int:
        """How much memory the process and those that it started take, in bytes; 0 when it has
        gone. Reads /proc or what there is instead: not for the loop."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return 0
        return sum(map(_resident, family))

    async def detach(self, session: CopilotSession, seconds: float) -> None:
        """Let go of a session; a running answer ends with it. Raises `AgentError`."""
        leaving = asyncio.ensure_future(session.disconnect())
        self._leaving[session.session_id] = leaving
        leaving.add_done_callback(lambda ended: self._left(session, ended))
        await self.call("detach", asyncio.shield(leaving), seconds)

    async def opened(
        self, what: str, session_id: str, rpc: Awaitable[CopilotSession]
    ) -> CopilotSession:
        """The session that an SDK call resumes or creates. A caller that is cancelled, or for whom
        it takes too long, leaves no session open: `until_let_go` waits for its end.

        Raises `AgentError`, as `call` does."""
        opening = asyncio.ensure_future(rpc)
        try:
            return await self.call(what, asyncio.shield(opening))
        except BaseException:
            leaving = asyncio.create_task(self._abandon(opening), name="abandoning a session")
            self._leaving[session_id] = leaving
            leaving.add_done_callback(lambda ended: self._forget_leaving(session_id, ended))
            raise

    async def _abandon(self, opening: asyncio.Future[CopilotSession]) -> None:
        """Let go of a session that nobody waits for any more, once the runtime has opened it: the
        runtime goes on with a call that it has got (measured). Raises nothing."""
        try:
            async with time_limit(REAL, CALL_SECONDS):
                session = await opening
                await session.disconnect()
        except Exception as error:  # it did not open, or it is the runtime's to close
            log.debug("a session that nobody waited for was not closed: %r", error)
        else:
            forget(self.client, session)

    async def until_let_go(self, session_id: str) -> None:
        """Wait until a session is let go of that was not in time: opened before, it would be taken
        away again (measured). Raises `AgentError`."""
        leaving = self._leaving.get(session_id)
        if leaving is not None:
            await self.call("detach", asyncio.wait({leaving}))

    def _left(self, session: CopilotSession, ended: asyncio.Future[None]) -> None:
        self._forget_leaving(session.session_id, ended)
        # What went wrong is told to whoever waited; if nobody did, there is nobody to be told.
        if not ended.cancelled() and ended.exception() is None:
            forget(self.client, session)

    def _forget_leaving(self, session_id: str, ended: asyncio.Future[None]) -> None:
        if self._leaving.get(session_id) is ended:
            del self._leaving[session_id]

    async def stop(self) -> None:
        """End the process: asked first, then killed. Bounded; raises nothing."""
        if self.gone:
            await self.clear_away()
            return
        self._went("it was stopped")
        self._watch.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.client.stop()
        except Exception as error:  # what is left is killed, whatever the reason
            log.debug("the runtime did not stop by itself: %r", error)
            await _kill(self.client)
        close_pipes(self._process)

    async def clear_away(self) -> None:
        """Wait until nothing is left of a runtime that has gone. Bounded; raises nothing."""
        await asyncio.wait([self._watch])

    def _went(self, reason: str) -> None:
        if self.gone:
            return
        self.gone = True
        for listener in tuple(self._listeners):
            listener(reason)

    async def _watch_process(self) -> None:
        reason = await self._reason_to_give_up()
        log.error("the Copilot runtime is gone: %s", reason)
        self._went(reason)
        await _kill(self.client)

    async def _reason_to_give_up(self) -> str:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            if self._process.poll() is not None:
                return f"it ended with status {self._process.returncode}"
            if self.gone:
                return "its pipe is closed"
            if looks % PING_EVERY == 0:
                try:
                    await self.call("ping", self.client.ping(), PING_SECONDS)
                except AgentError as error:
                    return f"it does not answer ({error})"


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has ended meanwhile
        return 0


def _command(folders: Folders, binary: str) -> list[str]:
    """What is run: the runtime, once the one before it has ended."""
    if sys.platform == "win32":
        return [binary]
    lock = folders.state.parent / LOCK
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(lock), str(LAST_ONE_SECONDS), binary]


def _client(
    options: RuntimeOptions, folders: Folders, model: str, command: list[str]
) -> CopilotClient:
    program, *arguments = command
    return CopilotClient(
        connection=RuntimeConnection.for_stdio(path=program, args=arguments),
        base_directory=str(folders.state),
        working_directory=str(folders.work),
        # Nothing of a developer's machine: no tools, skills, plugins, git or telemetry by default.
        mode="empty",
        env=environment(options, folders, model, os.environ),
        github_token=None if options.base_url else options.github_token or None,
        use_logged_in_user=False,
        # Its log files are never rotated.
        log_level="none",
        telemetry=_telemetry(options.traces_to),
    )


def _telemetry(endpoint: str) -> TelemetryConfig | None:
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
