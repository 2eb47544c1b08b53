"""Tests what a session may do: nothing, or read in one folder with the bot's own tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from copilot import PermissionRequest
from copilot.rpc import PermissionDecisionReject
from copilot.session_events import PermissionRequestRead, PermissionRequestWrite

from bot.copilot.permissions import REFUSED, allowed_tools, refuse_all
from bot.ports import SessionConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "given"
    inside.mkdir()
    (inside / "notes.md").write_text("notes")
    return inside


@pytest.mark.parametrize(
    "request_of_the_runtime",
    [
        PermissionRequestRead(intention="look around", path="/etc/passwd"),
        PermissionRequestWrite(
            can_offer_session_approval=False, diff="", file_name="notes.md", intention="write"
        ),
    ],
)
async def test_whatever_the_runtime_asks_for_is_refused(
    request_of_the_runtime: PermissionRequest,
) -> None:
    """The model gets the answer to continue without it."""
    decision = await refuse_all(request_of_the_runtime, {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)
    assert decision.feedback == REFUSED


def test_a_session_gets_only_tools_that_read(folder: Path) -> None:
    """Others are dropped, and all of them where there is no folder."""
    wanted = ("bash", "grep", "view", "create")
    assert allowed_tools(SessionConfig(tools=wanted, folder=str(folder))) == ("view", "grep")
    assert allowed_tools(SessionConfig(tools=wanted, folder=str(folder / "not-there"))) == ()
    assert allowed_tools(SessionConfig(tools=wanted, folder=str(folder / "notes.md"))) == ()
    assert allowed_tools(SessionConfig(tools=wanted, folder="")) == ()
    assert allowed_tools(SessionConfig(tools=wanted, folder=".")) == ()
    assert allowed_tools(SessionConfig(folder=str(folder))) == ()
