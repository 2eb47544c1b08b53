"""What a session may do: nothing or, in one folder, read. The runtime asks before each call."""

from __future__ import annotations

from pathlib import Path

import pytest
from copilot import PermissionRequest
from copilot.rpc import PermissionDecisionApproveOnce, PermissionDecisionReject
from copilot.session_events import PermissionRequestRead, PermissionRequestWrite

from bot.copilot.permissions import OUTSIDE, REFUSED, reading_in, refuse_all, tools_of
from bot.ports import Setup


def reading(path: object) -> PermissionRequest:
    return PermissionRequestRead(intention="look around", path=str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, and with a link out of it."""
    inside = tmp_path / "given"
    inside.mkdir()
    (inside / "notes.md").write_text("notes")
    (tmp_path / "given-too").mkdir()
    (inside / "out").symlink_to(tmp_path / "given-too")
    (inside / "back").symlink_to(inside / "notes.md")
    (inside / "loop").symlink_to(inside / "loop")
    return inside


async def test_without_tools_every_request_is_refused() -> None:
    """The model is told to go on without."""
    decision = await refuse_all(reading("/etc/passwd"), {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)
    assert decision.feedback == REFUSED


@pytest.mark.parametrize("path", [".", "notes.md", "sub/../notes.md", "back", "not-there"])
async def test_what_lies_in_the_folder_may_be_read(folder: Path, path: str) -> None:
    """Itself, what is below it, and a link that stays in it."""
    decision = await reading_in(folder)(reading(folder / path), {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionApproveOnce)


@pytest.mark.parametrize(
    "path",
    ["..", "../given-too", "out", "out/x", "/etc/passwd", "/", "loop/x", "a\0b", "../given/../x"],
)
async def test_what_lies_outside_may_not_be_read(folder: Path, path: str) -> None:
    """However the way there is written, and by no link."""
    decision = await reading_in(folder)(reading(folder / path), {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)
    assert decision.feedback == OUTSIDE


@pytest.mark.parametrize("path", ["", "notes.md", "~/x"])
async def test_a_path_that_is_not_whole_may_not_be_read(folder: Path, path: str) -> None:
    """The runtime gives whole ones; nobody guesses what another one means."""
    decision = await reading_in(folder)(reading(path), {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)


async def test_nothing_but_reading_is_let_through(folder: Path) -> None:
    """Not even in the folder."""
    request = PermissionRequestWrite(
        can_offer_session_approval=False,
        diff="",
        file_name=str(folder / "notes.md"),
        intention="write",
    )
    decision = await reading_in(folder)(request, {"session_id": "s"})
    assert isinstance(decision, PermissionDecisionReject)


def test_a_session_gets_only_tools_that_read(folder: Path) -> None:
    """Others are dropped, and all of them where there is no folder."""
    wanted = ("bash", "grep", "view", "create")
    assert tools_of(Setup(tools=wanted, folder=str(folder))) == ("view", "grep")
    assert tools_of(Setup(tools=wanted, folder=str(folder / "not-there"))) == ()
    assert tools_of(Setup(tools=wanted, folder=str(folder / "notes.md"))) == ()
    assert tools_of(Setup(tools=wanted, folder="")) == ()
    assert tools_of(Setup(tools=wanted, folder=".")) == ()
    assert tools_of(Setup(folder=str(folder))) == ()
