"""Provides what a long-running bot needs and github-copilot-sdk 1.0.25 does not offer.

This is the only module that uses private parts of the SDK. Review it with each new SDK version.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from copilot import CopilotClient, CopilotSession
from copilot._cli_download import ensure_runtime_wrapper, get_cached_cli_path
from copilot._jsonrpc import JsonRpcClient, JsonRpcError, ProcessExitedError
from copilot.generated import session_events

Process = subprocess.Popen[bytes]

_ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

IGNORED_EVENTS: Final = frozenset(
    {
        "assistant.idle",
        "assistant.message_start",
        "assistant.streaming_delta",
        "assistant.turn_end",
        "assistant.turn_start",
        "model.call_finished",
        "model.call_final_result",
        "model.call_start",
        "model.log",
        "model.message",
        "model.messages_snapshot",
        "model.model_call_started",
        "model.model_call_success",
        "model.response",
        "model.turn_ended",
        "model.turn_started",
        "pending_messages.modified",
        "session.mcp_servers_loaded",
        "session.tools_updated",
        "system.message",
    }
)
"""Events of every turn, or of every piece of an answer, that the bot has no use for. They are 20 of
26 events in the shortest turn, and every second one in a long one (measured). All other events are
passed on, including unknown ones."""
LIVENESS_SECONDS: Final = 1.0
"""Interval at which an ignored event of a session is passed on anyway, in seconds. It shows that
the session is alive."""
_MAX_SESSIONS: Final = 1_000
"""Maximum number of sessions whose last passed event is remembered."""
_UNUSED_NOTIFICATION: Final = b'{"jsonrpc":"2.0","method":"session.lifecycle"'
_EVENT_PATTERN: Final = re.compile(
    rb'\{"jsonrpc":"2.0","method":"session.event",'
    rb'"params":\{"sessionId":"(?P<session>[^"]*)","event":\{"type":"(?P<type>[^"]*)"'
)
"""The format in which the runtime writes an event. An event in another format is passed on."""
_END_OF_HEADERS: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"Content-Length: *([0-9]{1,10})", re.IGNORECASE)
_READ_BYTES: Final = 1 << 16
"""Size of one read from the pipe, in bytes."""

_METHOD_NOT_FOUND = -32601
"""JSON-RPC's code. All other refusals of the runtime have -32603 (measured, CLI 1.0.102)."""


def downloaded_runtime() -> Path | None:
    """The program that `python -m copilot download-runtime` has downloaded, or None.

    Downloads nothing.
    """
    if get_cached_cli_path() is None:
        return None
    # The download is complete, so this only returns its path.
    return Path(ensure_runtime_wrapper())


def is_unsupported(error: BaseException | None) -> bool:
    """True if the runtime has no such function. Several are experimental and may disappear."""
    return isinstance(error, JsonRpcError) and error.code == _METHOD_NOT_FOUND


def is_refusal(error: BaseException | None) -> bool:
    """True if the runtime answered with a refusal."""
    return isinstance(error, JsonRpcError)


def ignore_late_responses(loop: asyncio.AbstractEventLoop) -> None:
    """Suppress the log entries for answers to calls that were abandoned.

    The SDK's reader sets the results of abandoned calls
    (`_jsonrpc.py`: `call_soon_threadsafe(future.set_result, …)`). asyncio would log a traceback
    with the answer. All other errors go to the previous exception handler.
    """
    current = loop.get_exception_handler()
    if isinstance(current, _LateResponseFilter):
        return
    loop.set_exception_handler(_LateResponseFilter(current))


class _LateResponseFilter:
    """An exception handler for `asyncio` that drops errors of late responses."""

    def __init__(self, next_handler: _ExceptionHandler | None) -> None:
        self._next_handler = next_handler

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        late = str(context.get("message")).startswith("Exception in callback Future.set_")
        if late and isinstance(context.get("exception"), asyncio.InvalidStateError):
            return
        if self._next_handler is not None:
            self._next_handler(loop, context)
        else:
            loop.default_exception_handler(context)


def filter_events(client: CopilotClient) -> None:
    """Make a started client read its pipe in blocks instead of bytes, and drop ignored events.

    The events are dropped before they are parsed, passed to the event loop and made objects.
    """
    rpc = client._client  # noqa: SLF001 (see the module's docstring)
    if rpc is not None:
        rpc._read_message = _MessageReader(rpc)  # type: ignore[method-assign]  # noqa: SLF001
    # The SDK parses each event's time with dateutil: 20 times as slow, same result (measured).
    session_events.from_datetime = _from_datetime


class _MessageReader:
    """Reads the runtime's messages, on the SDK's reading thread.

    The SDK reads the header of each message byte by byte from an unbuffered pipe: some 900 system
    calls a turn. After each of them the thread waits for Python's lock, and so do all other threads
    (measured)."""

    def __init__(self, rpc: JsonRpcClient) -> None:
        self._pipe = rpc.process.stdout  # unbuffered: a read returns the available bytes
        self._buffer = bytearray()
        self._last_passed_at: dict[bytes, float] = {}

    def __call__(self) -> dict[str, Any] | None:
        """The next message that is not ignored, or None if the runtime has closed the pipe.

        Raises `EOFError` if it did so within a message.
        """
        while (content := self._next_message()) is not None:
            if not self._is_ignored(content):
                message: dict[str, Any] = json.loads(content)
                return message
        return None

    def _next_message(self) -> bytes | None:
        while (end := self._buffer.find(_END_OF_HEADERS)) < 0:
            if not self._fill_buffer():
                if self._buffer:
                    raise EOFError("the runtime ended within the headers of a message")
                return None
        length = _CONTENT_LENGTH.search(self._buffer, 0, end)
        if length is None:
            raise ValueError("a message of the runtime has no Content-Length")
        start = end + len(_END_OF_HEADERS)
        stop = start + int(length[1])
        while len(self._buffer) < stop:
            if not self._fill_buffer():
                raise EOFError("the runtime ended within a message")
        content = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        return content

    def _fill_buffer(self) -> bool:
        """Wait for more bytes. False at the end of the pipe."""
        chunk = self._pipe.read(_READ_BYTES)
        self._buffer += chunk
        return bool(chunk)

    def _is_ignored(self, message: bytes) -> bool:
        if message.startswith(_UNUSED_NOTIFICATION):
            return True
        event = _EVENT_PATTERN.match(message)
        if event is None or event["type"].decode() not in IGNORED_EVENTS:
            return False
        return not self._is_liveness_due(event["session"])

    def _is_liveness_due(self, session_id: bytes) -> bool:
        now = time.monotonic()
        if now - self._last_passed_at.get(session_id, 0.0) < LIVENESS_SECONDS:
            return False
        if len(self._last_passed_at) >= _MAX_SESSIONS:
            self._last_passed_at.clear()
        self._last_passed_at[session_id] = now
        return True


def _from_datetime(x: Any) -> datetime:
    """A time in the runtime's format (ISO 8601).

    Raises `AssertionError` if it is no string, like the SDK, and `ValueError` if it is no time.
    """
    return datetime.fromisoformat(session_events.from_str(x))


def is_process_gone(error: BaseException | None) -> bool:
    """True if a call failed because the process has ended."""
    return isinstance(error, ProcessExitedError | BrokenPipeError | ConnectionResetError)


def is_disconnected(client: CopilotClient) -> bool:
    """True if the connection of a started client has ended.

    From then on its calls fail with a plain `RuntimeError("Client not connected")`, before the end
    of the process is visible (`client.py`: `_handle_connection_close`).
    """
    return client._session_admission_closed  # noqa: SLF001 (see the module's docstring)


def process_of(client: CopilotClient) -> Process | None:
    """The runtime's process, or None. The SDK does not report its end, so the bot polls it."""
    return client._cli_process  # noqa: SLF001 (see the module's docstring)


def close_pipes(process: Process) -> None:
    """Close the pipes of a process that has ended. The SDK leaves them open."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def discard_session(client: CopilotClient, session: CopilotSession) -> None:
    """Remove a disconnected session from the client. Otherwise it keeps 12 KB of each until it ends
    (measured)."""
    with client._sessions_lock:  # noqa: SLF001 (see the module's docstring)
        if client._sessions.get(session.session_id) is session:  # noqa: SLF001
            del client._sessions[session.session_id]  # noqa: SLF001


async def history_of(session: CopilotSession) -> Sequence[Mapping[str, object]]:
    """The events of a session's history, as the runtime returns them.

    `CopilotSession.get_events` makes an object of each and blocks the event loop for 0.1 ms per
    event (measured).
    """
    response = await session._client.request(  # noqa: SLF001 (see the module's docstring)
        "session.getMessages", {"sessionId": session.session_id}
    )
    events: Sequence[Mapping[str, object]] = response["events"]
    return events
