"""Which tools a session has: mostly none, and never one of the runtime's own.

A role of the operator's may have tools that read, within one folder: those of
`bot.copilot.file_tools` in place of the runtime's, which are not to be had. Whatever the runtime
asks permission for is refused.
"""

from __future__ import annotations

import logging
from pathlib import Path

from copilot import PermissionRequest, PermissionRequestResult
from copilot.rpc import PermissionDecisionReject
from copilot.session import PermissionInvocation

from bot.ports import SessionConfig

log = logging.getLogger(__name__)

READING_TOOLS = ("view", "grep", "glob")
"""All tools that there ever are."""

REFUSED = "You have no such permission in this conversation. Go on without it."
"""What the model is told; people do not see it."""


def allowed_tools(config: SessionConfig) -> tuple[str, ...]:
    """The tools that a session gets: of those that it should have, the ones that only read, and
    none without a folder to read in."""
    wanted = tuple(tool for tool in READING_TOOLS if tool in config.tools)
    for tool in config.tools:
        if tool not in wanted:
            log.warning("the tool %s is not let through: it can do more than read", tool)
    folder = Path(config.folder)
    if wanted and not (folder.is_absolute() and folder.is_dir()):
        log.warning("no tools without a folder: %r is no absolute path of one", config.folder)
        return ()
    return wanted


async def refuse_all(
    request: PermissionRequest, invocation: PermissionInvocation
) -> PermissionRequestResult:
    """The permission handler of all sessions: the second lock behind `available_tools`."""
    log.warning(
        "session %s asked for permission (%s) and was refused",
        invocation["session_id"],
        type(request).__name__,
    )
    return PermissionDecisionReject(feedback=REFUSED)
