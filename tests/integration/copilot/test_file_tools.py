"""Tests sessions that may read the files of one folder, on the real runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.copilot.agent import CopilotAgent
from bot.copilot.file_reader import OUTSIDE
from bot.copilot.options import RuntimeOptions
from bot.copilot.permissions import READING_TOOLS
from bot.ports import SessionConfig
from bot.redaction import REPLACEMENT, SecretRedactor
from tests.integration.copilot.session_probe import answer_to
from tests.integration.copilot.test_file_reader import changing_places
from tests.scripted_model import Answer, ScriptedModel, ToolCall

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def config(tmp_path: Path) -> SessionConfig:
    """May read in a folder that has a link out of it."""
    folder, outside = tmp_path / "given", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "notes.md").write_text("a needle inside\n")
    (outside / "secret.md").write_text("a needle outside\n")
    (folder / "link.md").symlink_to(outside / "secret.md")
    (folder / "linked").symlink_to(outside)
    return SessionConfig(
        tools=(*READING_TOOLS, "bash"), folder=str(folder), instructions="Be a librarian."
    )


async def results_of(
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
    call: ToolCall,
) -> str:
    """What the model gets when it makes a call."""
    model.when("look it up", "I looked.")
    model.when("look it up", Answer(calls=[call], times=1))
    session = await agent.open_session(session_id, config)
    assert await answer_to(session, "look it up") == "I looked."
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
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
    call: ToolCall,
) -> None:
    """By any of the tools; a search does not follow links."""
    found = await results_of(agent, model, session_id, config, _placed(call, config))
    assert "needle inside" in found
    assert "outside" not in found


async def test_the_model_lists_the_folder(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, config: SessionConfig
) -> None:
    """But not what a link leads to."""
    call = ToolCall("glob", {"pattern": "**/*.md"})
    found = await results_of(agent, model, session_id, config, call)
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
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
    call: ToolCall,
) -> None:
    """Neither above, beside nor through a link. The model gets the reason and continues."""
    found = await results_of(agent, model, session_id, config, _placed(call, config))
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
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
    call: ToolCall,
) -> None:
    """What is let through is the folder; patterns stay in it."""
    found = await results_of(agent, model, session_id, config, call)
    assert "needle outside" not in found
    assert "secret.md" not in found


async def test_a_link_that_is_put_there_while_it_is_looked_at_leads_nowhere(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, config: SessionConfig
) -> None:
    """In sixty tries of a race that the runtime's own tool lost in every fourth."""
    tries = 60
    folder = Path(config.folder)
    (folder / "it.md").write_text("a needle inside\n")
    calls = [ToolCall("view", {"path": "it.md"})] * tries
    model.when("look it up", "I looked.")
    model.when("look it up", Answer(calls=calls, times=1))
    session = await agent.open_session(session_id, config)
    with changing_places(folder / "it.md", folder / "link.md"):
        assert await answer_to(session, "look it up") == "I looked."
    results = model.requests[-1].results[-tries:]
    assert not [found for found in results if "needle outside" in found]
    assert any(OUTSIDE in found for found in results)
    assert any("needle inside" in found for found in results)


async def test_what_a_tool_does_not_take_is_said(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, config: SessionConfig
) -> None:
    paths = [config.folder, f"{config.folder}/../outside"]
    call = ToolCall("grep", {"pattern": "needle", "paths": paths})
    found = await results_of(agent, model, session_id, config, call)
    assert "cannot be called like this" in found
    assert "needle" not in found


async def test_a_secret_of_ours_in_a_file_does_not_reach_the_model_nor_its_history(
    options: RuntimeOptions,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
    tmp_path: Path,
) -> None:
    """With any tool, also if there are spaces between its letters."""
    secret = "xoxb-1-of-ours-canary"
    folder = Path(config.folder)
    (folder / "config.md").write_text(f"TOKEN={secret}\nAGAIN={' '.join(secret)}\n")
    (folder / f"{secret}.md").write_text("")
    calls = [
        ToolCall("view", {"path": "config.md"}),
        ToolCall("grep", {"pattern": "TOKEN|AGAIN"}),
        ToolCall("glob", {"pattern": "*.md"}),
    ]
    own = replace(options, data_dir=tmp_path / "own", redact=SecretRedactor([secret]))
    model.when("look it up", "I looked.")
    model.when("look it up", Answer(calls=calls, times=1))
    async with CopilotAgent(own) as agent:
        live = await agent.open_session(session_id, config)
        assert await answer_to(live, "look it up") == "I looked."
        results = model.requests[-1].results[-3:]
        await answer_to(live, "and now?")
    assert all(REPLACEMENT in found for found in results)
    prompts = " ".join(text for request in model.requests for _, text in request.messages)
    histories = " ".join(file.read_text() for file in own.data_dir.rglob("*.jsonl"))
    assert "look it up" in histories
    for text in (prompts, histories):
        assert "canary" not in text
        assert "c a n a r y" not in text


async def test_the_model_is_instructed_what_it_may_and_has_no_other_tool(
    agent: CopilotAgent,
    options: RuntimeOptions,
    model: ScriptedModel,
    session_id: str,
    config: SessionConfig,
) -> None:
    """The prompt lists the tools. The role's instructions come after the general ones."""
    found = await results_of(
        agent, model, session_id, config, ToolCall("bash", {"command": "id", "description": "x"})
    )
    request = model.requests[-1]
    assert sorted(request.tool_names) == sorted(READING_TOOLS)
    assert "does not exist" in found
    assert request.system.startswith(options.reading_system_prompt)
    assert request.system.rstrip().endswith("Be a librarian.")
    assert "no tools" not in request.system


def _placed(call: ToolCall, config: SessionConfig) -> ToolCall:
    """The call with the folder's real path in it."""
    arguments = {
        name: value.replace("{folder}", config.folder) if isinstance(value, str) else value
        for name, value in call.arguments.items()
    }
    return ToolCall(call.name, arguments)
