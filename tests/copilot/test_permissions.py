"""Nobody may do anything: the second lock, should the first one (no tools) ever give way."""

from __future__ import annotations

from copilot.rpc import PermissionDecisionReject
from copilot.session_events import PermissionRequestRead

from bot.copilot.permissions import REFUSED, refuse_all


def test_every_request_is_refused() -> None:
    """The model is told to go on without."""
    request = PermissionRequestRead(intention="look around", path="/etc/passwd")
    decision = refuse_all(request, {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)
    assert decision.feedback == REFUSED
