"""Decides which tools a session has: mostly none, and never the runtime's own.

A role that the operator defines may have tools that read within one folder. They are those of
`bot.copilot.file_tools`; the runtime's own are not available. Every permission request of the
runtime is refused.
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
"""All tools that a session can have."""

REFUSED = "You have no such permission in this conversation. Go on without it."
"""The answer to a permission request, for the model. Users do not see it."""


def allowed_tools(config: SessionConfig) -> tuple[str, ...]:
    """The configured tools that only read, or an empty tuple if the folder is not usable."""
    wanted = tuple(tool for tool in READING_TOOLS if tool in config.tools)
    for tool in config.tools:
        if tool not in wanted:
            log.warning("tool refused, because it does more than read: tool=%s", tool)
    folder = Path(config.folder)
    if wanted and not (folder.is_absolute() and folder.is_dir()):
        log.warning("tools refused, no absolute path of a folder: folder=%r", config.folder)
        return ()
    return wanted


async def refuse_all(
    request: PermissionRequest, invocation: PermissionInvocation
) -> PermissionRequestResult:
    """Refuse a permission request: the second barrier behind `allowed_tools`.

    The bot's own tools never ask (`skip_permission` in `bot.copilot.file_tools`).
    """
    log.warning(
        "permission refused: session=%s request=%s",
        invocation["session_id"],
        type(request).__name__,
    )
    return PermissionDecisionReject(feedback=REFUSED)
