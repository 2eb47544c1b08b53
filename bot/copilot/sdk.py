"""What github-copilot-sdk 1.0.25 does not offer and a bot that runs for months needs.

The only place that reaches into the SDK; look at it again whenever the SDK's version is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from copilot import CopilotClient, CopilotSession
from copilot._cli_download import ensure_runtime_wrapper, get_cached_cli_path
from copilot._jsonrpc import JsonRpcError, ProcessExitedError

Process = subprocess.Popen[bytes]

_Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_NO_SUCH_METHOD = -32601
"""JSON-RPC's code; every other refusal of the runtime has -32603 (measured, CLI 1.0.102)."""


def downloaded_runtime() -> Path | None:
    """The binary that `python -m copilot download-runtime` has fetched; None when it has not.
    Fetches nothing."""
    if get_cached_cli_path() is None:
        return None
    # The download is complete, so that this only tells its name.
    return Path(ensure_runtime_wrapper())


def is_missing(error: BaseException | None) -> bool:
    """Whether the runtime has no such function: several are experimental and come and go."""
    return isinstance(error, JsonRpcError) and error.code == _NO_SUCH_METHOD


def is_refusal(error: BaseException | None) -> bool:
    """Whether the runtime answered, and said no."""
    return isinstance(error, JsonRpcError)


def leave_out_late_answers(loop: asyncio.AbstractEventLoop) -> None:
    """Have nothing logged of answers to calls that were given up meanwhile: the SDK's reader sets
    them all the same (`_jsonrpc.py`: `call_soon_threadsafe(future.set_result, …)`), and asyncio
    would write a traceback with what was answered. All else is told as before."""
    told = loop.get_exception_handler()
    if isinstance(told, _WithoutLateAnswers):
        return
    loop.set_exception_handler(_WithoutLateAnswers(told))


class _WithoutLateAnswers:
    """`asyncio`'s exception handler that leaves out what is no trouble."""

    def __init__(self, others: _Handler | None) -> None:
        self._others = others

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        late = str(context.get("message")).startswith("Exception in callback Future.set_")
        if late and isinstance(context.get("exception"), asyncio.InvalidStateError):
            return
        if self._others is not None:
            self._others(loop, context)
        else:
            loop.default_exception_handler(context)


def has_ended(error: BaseException | None) -> bool:
    """Whether a call failed because there is no process (any more) that could answer."""
    return isinstance(error, ProcessExitedError | BrokenPipeError | ConnectionResetError)


def is_cut_off(client: CopilotClient) -> bool:
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


def forget(client: CopilotClient, session: CopilotSession) -> None:
    """Let the client forget a session that is disconnected; it would keep 12 KB of each for ever
    (measured)."""
    with client._sessions_lock:  # noqa: SLF001 (see the module's docstring)
        if client._sessions.get(session.session_id) is session:  # noqa: SLF001
            del client._sessions[session.session_id]  # noqa: SLF001


async def history_of(session: CopilotSession) -> Sequence[Mapping[str, object]]:
    """The events of a session's history, as the runtime tells them. `CopilotSession.get_events`
    makes an object of each while everybody waits: 0.1 ms apiece (measured)."""
    told = await session._client.request(  # noqa: SLF001 (see the module's docstring)
        "session.getMessages", {"sessionId": session.session_id}
    )
    events: Sequence[Mapping[str, object]] = told["events"]
    return events
