"""What github-copilot-sdk 1.0.25 does not offer and a bot that runs for months needs.

The only place that reaches into the SDK; look at it again whenever the SDK's version is raised.
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
"""Events that come with every turn, or with every piece of an answer, and say nothing that the bot
wants to know: 20 of 26 in the shortest turn, every other one in a long one (measured). All others
are heard, also those that nobody knows yet."""
LIVENESS_SECONDS: Final = 1.0
"""So often a session's needless events are heard all the same, for they tell that it lives."""
_MAX_SESSIONS: Final = 1_000
_UNUSED_NOTIFICATION: Final = b'{"jsonrpc":"2.0","method":"session.lifecycle"'
_EVENT_PATTERN: Final = re.compile(
    rb'\{"jsonrpc":"2.0","method":"session.event",'
    rb'"params":\{"sessionId":"(?P<session>[^"]*)","event":\{"type":"(?P<type>[^"]*)"'
)
"""How the runtime writes an event. One that is written otherwise is heard like all others."""
_END_OF_HEADERS: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"Content-Length: *([0-9]{1,10})", re.IGNORECASE)
_READ_BYTES: Final = 1 << 16

_METHOD_NOT_FOUND = -32601
"""JSON-RPC's code; every other refusal of the runtime has -32603 (measured, CLI 1.0.102)."""


def downloaded_runtime() -> Path | None:
    """The binary that `python -m copilot download-runtime` has fetched; None when it has not.
    Fetches nothing."""
    if get_cached_cli_path() is None:
        return None
    # The download is complete, so that this only tells its name.
    return Path(ensure_runtime_wrapper())


def is_unsupported(error: BaseException | None) -> bool:
    """Whether the runtime has no such function: several are experimental and come and go."""
    return isinstance(error, JsonRpcError) and error.code == _METHOD_NOT_FOUND


def is_refusal(error: BaseException | None) -> bool:
    """Whether the runtime answered, and said no."""
    return isinstance(error, JsonRpcError)


def ignore_late_responses(loop: asyncio.AbstractEventLoop) -> None:
    """Have nothing logged of answers to calls that were given up meanwhile: the SDK's reader sets
    them all the same (`_jsonrpc.py`: `call_soon_threadsafe(future.set_result, …)`), and asyncio
    would write a traceback with what was answered. All else is told as before."""
    current = loop.get_exception_handler()
    if isinstance(current, _LateResponseFilter):
        return
    loop.set_exception_handler(_LateResponseFilter(current))


class _LateResponseFilter:
    """`asyncio`'s exception handler that leaves out what is no trouble."""

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
    """Read what a started client is told in one go instead of byte by byte, and drop what it would
    hear in vain before it is parsed, handed to the loop and made an object of."""
    rpc = client._client  # noqa: SLF001 (see the module's docstring)
    if rpc is not None:
        rpc._read_message = _MessageReader(rpc)  # type: ignore[method-assign]  # noqa: SLF001
    # The SDK has dateutil read each event's time: 20 times as slow, for the same (measured).
    session_events.from_datetime = _from_datetime


class _MessageReader:
    """Reads the runtime's messages, on the SDK's reading thread.

    The SDK reads the header of each message byte by byte from a pipe without a buffer, which are
    some 900 system calls a turn; after each of them the thread waits for Python's lock, and so does
    everybody else (measured)."""

    def __init__(self, rpc: JsonRpcClient) -> None:
        self._pipe = rpc.process.stdout  # without a buffer: it reads what there is
        self._buffer = bytearray()
        self._last_passed_at: dict[bytes, float] = {}

    def __call__(self) -> dict[str, Any] | None:
        """The next message that says something; None when the runtime has closed the pipe. Raises
        `EOFError` when it did so within a message."""
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
            raise ValueError("a message of the runtime does not say how long it is")
        start = end + len(_END_OF_HEADERS)
        stop = start + int(length[1])
        while len(self._buffer) < stop:
            if not self._fill_buffer():
                raise EOFError("the runtime ended within a message")
        content = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        return content

    def _fill_buffer(self) -> bool:
        """Wait until there is more to read; False at the end."""
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
    """A moment as the runtime writes it (ISO 8601). `AssertionError` like the SDK's own for what is
    no text, `ValueError` for what is no moment."""
    return datetime.fromisoformat(session_events.from_str(x))


def is_process_gone(error: BaseException | None) -> bool:
    """Whether a call failed because there is no process (any more) that could answer."""
    return isinstance(error, ProcessExitedError | BrokenPipeError | ConnectionResetError)


def is_disconnected(client: CopilotClient) -> bool:
    """Whether the connection of a started client has ended. Its calls are refused from then on with
    a plain `RuntimeError("Client not connected")`, sooner than the process can be seen to be gone
    (`client.py`: `_handle_connection_close`)."""
    return client._session_admission_closed  # noqa: SLF001 (see the module's docstring)


def process_of(client: CopilotClient) -> Process | None:
    """The runtime's process: to see at once when it dies, for nobody is told."""
    return client._cli_process  # noqa: SLF001 (see the module's docstring)


def close_pipes(process: Process) -> None:
    """Close an ended process's pipes, which the SDK leaves open."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def discard_session(client: CopilotClient, session: CopilotSession) -> None:
    """Let the client forget a session that is disconnected; it would keep 12 KB of each for ever
    (measured)."""
    with client._sessions_lock:  # noqa: SLF001 (see the module's docstring)
        if client._sessions.get(session.session_id) is session:  # noqa: SLF001
            del client._sessions[session.session_id]  # noqa: SLF001


async def history_of(session: CopilotSession) -> Sequence[Mapping[str, object]]:
    """The events of a session's history, as the runtime tells them. `CopilotSession.get_events`
    makes an object of each while everybody waits: 0.1 ms apiece (measured)."""
    response = await session._client.request(  # noqa: SLF001 (see the module's docstring)
        "session.getMessages", {"sessionId": session.session_id}
    )
    events: Sequence[Mapping[str, object]] = response["events"]
    return events
