"""A session that may read the files of one folder, on the real runtime: it can, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.copilot.permissions import OUTSIDE, READING_TOOLS
from bot.ports import Setup
from tests.copilot.asking import answer_of
from tests.scripted_model import Answer, ScriptedModel, ToolCall

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """May read in a folder that has a link out of it."""
    folder, outside = tmp_path / "given", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "notes.md").write_text("a needle inside\n")
    (outside / "secret.md").write_text("a needle outside\n")
    (folder / "link.md").symlink_to(outside / "secret.md")
    (folder / "linked").symlink_to(outside)
    return Setup(tools=(*READING_TOOLS, "bash"), folder=str(folder), instructions="Be a librarian.")


async def results_of(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup, call: ToolCall
) -> str:
    """What the model gets when it makes a call."""
    model.when("look it up", "I looked.")
    model.when("look it up", Answer(calls=[call], times=1))
    session = await agent.open(session_id, setup)
    assert await answer_of(session, "look it up") == "I looked."
    return model.requests[-1].results[-1]


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("view", {"path": "notes.md"}),
        ToolCall("view", {"path": "{folder}/notes.md"}),
        ToolCall("grep", {"pattern": "needle", "output_mode": "content"}),
        ToolCall("grep", {"pattern": "needle", "path": "notes.md", "output_mode": "content"}),
    ],
)
async def test_the_model_reads_in_the_folder(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup, call: ToolCall
) -> None:
    """By any of the tools; a search does not follow links."""
    found = await results_of(agent, model, session_id, setup, _placed(call, setup))
    assert "needle inside" in found
    assert "outside" not in found


async def test_the_model_lists_the_folder(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup
) -> None:
    """But not what a link leads to."""
    call = ToolCall("glob", {"pattern": "**/*.md"})
    found = await results_of(agent, model, session_id, setup, call)
    assert "notes.md" in found
    assert "secret.md" not in found


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("view", {"path": "../outside/secret.md"}),
        ToolCall("view", {"path": "{folder}/../outside/secret.md"}),
        ToolCall("view", {"path": "link.md"}),
        ToolCall("view", {"path": "linked"}),
        ToolCall("view", {"path": "/etc/passwd"}),
        ToolCall("grep", {"pattern": "needle", "path": "..", "output_mode": "content"}),
        ToolCall("grep", {"pattern": "needle", "path": "linked", "output_mode": "content"}),
        ToolCall("grep", {"pattern": "needle", "path": "link.md", "output_mode": "content"}),
        ToolCall("glob", {"pattern": "*", "path": "../outside"}),
    ],
)
async def test_the_model_reads_nowhere_else(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup, call: ToolCall
) -> None:
    """Neither above, beside nor through a link; it is told, and the answer goes on."""
    found = await results_of(agent, model, session_id, setup, _placed(call, setup))
    assert OUTSIDE in found
    assert "needle" not in found
    assert "secret" not in found


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("glob", {"pattern": "../outside/*"}),
        ToolCall("glob", {"pattern": "linked/*"}),
        ToolCall("grep", {"pattern": "needle", "glob": "../outside/*", "output_mode": "content"}),
        ToolCall("grep", {"pattern": "--follow", "output_mode": "content"}),
    ],
)
async def test_no_pattern_leads_out(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup, call: ToolCall
) -> None:
    """What is let through is the folder; patterns stay in it."""
    found = await results_of(agent, model, session_id, setup, call)
    assert "needle outside" not in found
    assert "secret.md" not in found


async def test_paths_in_one_call_are_each_looked_at(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, setup: Setup
) -> None:
    """One that leads out spoils the call."""
    paths = [setup.folder, f"{setup.folder}/../outside"]
    call = ToolCall("grep", {"pattern": "needle", "paths": paths, "output_mode": "content"})
    assert "outside" not in await results_of(agent, model, session_id, setup, call)


async def test_the_model_is_told_what_it_may_and_has_no_other_tool(
    agent: CopilotAgent,
    options: RuntimeOptions,
    model: ScriptedModel,
    session_id: str,
    setup: Setup,
) -> None:
    """Not that it has no tools; the role's own words come after the general ones."""
    found = await results_of(
        agent, model, session_id, setup, ToolCall("bash", {"command": "id", "description": "x"})
    )
    request = model.requests[-1]
    assert sorted(request.tool_names) == sorted(READING_TOOLS)
    assert "does not exist" in found
    assert request.system.startswith(options.reading_instructions)
    assert request.system.rstrip().endswith("Be a librarian.")
    assert "no tools" not in request.system


def _placed(call: ToolCall, setup: Setup) -> ToolCall:
    """The call with the folder's real path in it."""
    arguments = {
        name: value.replace("{folder}", setup.folder) if isinstance(value, str) else value
        for name, value in call.arguments.items()
    }
    return ToolCall(call.name, arguments)
