"""Who may do what: nobody anything. Chat has no tools, and should one ever ask, it is refused."""

from __future__ import annotations

import logging

from copilot import PermissionRequest, PermissionRequestResult
from copilot.rpc import PermissionDecisionReject
from copilot.session import PermissionInvocation

log = logging.getLogger(__name__)

REFUSED = "Tools are switched off in this conversation. Answer without them."
"""What the model is told; people do not see it."""


def refuse_all(
    request: PermissionRequest, invocation: PermissionInvocation
) -> PermissionRequestResult:
    """The permission handler of every session: the second lock behind `available_tools=[]`."""
    log.warning(
        "session %s asked for permission (%s) and was refused",
        invocation["session_id"],
        type(request).__name__,
    )
    return PermissionDecisionReject(feedback=REFUSED)
