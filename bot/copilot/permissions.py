"""Which tools a session has, and what they may read: mostly none, and nothing.

A role of the operator's may have tools that read, within one folder. The runtime asks before every
call of them, with the whole path, links not followed (measured, CLI 1.0.102, on every form of path
that the model can give): what is asked for is looked at here, links followed. Neither a recursive
search nor a pattern leaves the folder that was asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from copilot import PermissionRequest, PermissionRequestResult
from copilot.rpc import PermissionDecisionApproveOnce, PermissionDecisionReject
from copilot.session import PermissionInvocation
from copilot.session_events import PermissionRequestRead

from bot.ports import Setup

log = logging.getLogger(__name__)

READING_TOOLS = ("view", "grep", "glob")
"""All tools that are ever let through."""

REFUSED = "Tools are switched off in this conversation. Answer without them."
"""What the model is told; people do not see it."""
OUTSIDE = "You may only read in the folder that you were given. Go on without this."

Asked = Callable[[PermissionRequest, PermissionInvocation], Awaitable[PermissionRequestResult]]
"""Answers a request for permission."""


def tools_of(setup: Setup) -> tuple[str, ...]:
    """The tools that a session gets: of those that it should have, the ones that only read, and
    none without a folder to read in."""
    wanted = tuple(tool for tool in READING_TOOLS if tool in setup.tools)
    for tool in setup.tools:
        if tool not in wanted:
            log.warning("the tool %s is not let through: it can do more than read", tool)
    folder = Path(setup.folder)
    if wanted and not (folder.is_absolute() and folder.is_dir()):
        log.warning("no tools without a folder: %r is no absolute path of one", setup.folder)
        return ()
    return wanted


async def refuse_all(
    request: PermissionRequest, invocation: PermissionInvocation
) -> PermissionRequestResult:
    """The permission handler of sessions without tools: the second lock behind
    `available_tools=[]`."""
    _log_refusal(request, invocation)
    return PermissionDecisionReject(feedback=REFUSED)


def reading_in(folder: Path) -> Asked:
    """The permission handler of sessions that may read in a folder, and do nothing else."""

    async def decide(
        request: PermissionRequest, invocation: PermissionInvocation
    ) -> PermissionRequestResult:
        inside = isinstance(request, PermissionRequestRead) and await asyncio.to_thread(
            _lies_in, request.path, folder
        )
        if inside:
            return PermissionDecisionApproveOnce()
        _log_refusal(request, invocation)
        return PermissionDecisionReject(feedback=OUTSIDE)

    return decide


def _lies_in(path: str, folder: Path) -> bool:
    """Whether what a path leads to in the end lies in the folder. What cannot be told does not."""
    asked = Path(path)
    try:
        return asked.is_absolute() and asked.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links; no path at all
        return False


def _log_refusal(request: PermissionRequest, invocation: PermissionInvocation) -> None:
    log.warning(
        "session %s asked for permission (%s) and was refused",
        invocation["session_id"],
        type(request).__name__,
    )
