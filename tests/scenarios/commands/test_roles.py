"""Tests roles: sessions beside a thread's main one, each with its own instructions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.sessions.roles import BUILT_IN_ROLES
from tests.emulator_client import GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of, question_of
from tests.scenarios.delivery.test_mid_thread import excerpt_in
from tests.scripted_model import Answer, ModelRequest, ScriptedModel, ToolCall

REVIEW = BUILT_IN_ROLES["review"].instructions

HANDBOOK = """
[handbook]
instructions = "Answer from the handbook only."
model = "scripted-2"
effort = "low"
tools = ["view", "grep", "glob"]
folder = "handbook"

[review]
instructions = "Look for wrong sums first."
"""


def questions_of(request: ModelRequest) -> list[str]:
    """The questions of a session so far, without the quoted context."""
    return [question_of(prompt) for prompt in request.prompts]


async def ask_role(slack: ScenarioClient, ts: str, text: str, person: str = "alice") -> None:
    """Ask a role in a thread by a mention, and wait for its answer."""
    await slack.say(person, GENERAL, f"@threadpilot {text}", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, f"You said: {text.partition(': ')[2]}")


async def test_a_role_answers_beside_the_main_session_and_each_has_its_own_history(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "the plan is to fly")
    await ask_role(slack, ts, "review: is it safe?")
    assert REVIEW in model.requests[1].system
    assert REVIEW not in model.requests[0].system
    await slack.say("alice", GENERAL, "and then?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: and then?")
    await slack.say("alice", GENERAL, "Review: really?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: really?")
    [first, second, third, fourth] = model.requests
    assert questions_of(first) == ["the plan is to fly"]
    assert questions_of(second) == ["is it safe?"]
    assert questions_of(third) == ["the plan is to fly", "and then?"]
    assert questions_of(fourth) == ["is it safe?", "really?"]
    assert REVIEW not in third.system
    assert REVIEW in fourth.system


async def test_the_thread_history_is_sent_to_the_role_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "the plan is to fly")
    await ask_role(slack, ts, "review: is it safe?")
    brought = [(line["trust"], line["text"]) for line in excerpt_in(model.requests[1].prompt)]
    assert brought == [
        ("member", "@threadpilot the plan is to fly"),
        ("you", "You said: the plan is to fly"),
    ]
    await ask_role(slack, ts, "review: are you sure?")
    assert model.requests[2].prompts[-1] == "are you sure?"


async def test_a_roles_memory_holds_over_a_restart(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        ts = await slack.ask_in_new_thread("alice", "planning: a journey")
        assert BUILT_IN_ROLES["planning"].instructions in model.requests[-1].system
    async with bots.running():
        await ask_role(slack, ts, "planning: to the sea")
    assert questions_of(model.requests[-1]) == ["a journey", "to the sea"]
    assert BUILT_IN_ROLES["planning"].instructions in model.requests[-1].system


async def test_role_alone_lists_them_and_a_name_begins_its_session(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    card = await slack.card_for("bob", GENERAL, "!role", ts)
    for name in ("planning", "coding", "review"):
        assert name in full_text_of(card)
    assert REVIEW not in full_text_of(card)
    await slack.press_command("bob", GENERAL, card, "role", "coding")
    await slack.until_shown(GENERAL, ts, "This thread has a coding session now")
    await slack.say("bob", GENERAL, "!role coding", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "has a coding session already")
    await ask_role(slack, ts, "coding: a loop", "bob")
    assert BUILT_IN_ROLES["coding"].instructions in model.requests[-1].system
    assert "(coding)" in await slack.ephemeral_after_message("bob", GENERAL, ts, "!status")


async def test_a_role_that_does_not_exist_gets_the_list_and_a_colon_is_no_role(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    notice = full_text_of(await slack.card_for("bob", GENERAL, "!role pirate", ts))
    assert "I don't know a role called “pirate”" in notice
    assert "planning" in notice
    await slack.say("bob", GENERAL, "pirate: say ARRR", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: pirate: say ARRR")
    assert model.requests[-1].prompts == ("hello", "pirate: say ARRR")


async def test_by_command_a_role_is_asked_in_a_new_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    await slack.command("bob", GENERAL, "/copilot", "review: is flying safe?")
    await model.received()
    assert REVIEW in model.requests[0].system
    assert questions_of(model.requests[0]) == ["is flying safe?"]


async def test_what_is_reset_is_the_main_session_and_the_role_remembers(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "the plan is to fly")
    await ask_role(slack, ts, "review: is it safe?")
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Fresh start")
    await slack.say("alice", GENERAL, "anew", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: anew")
    assert questions_of(model.requests[-1]) == ["anew"]
    await ask_role(slack, ts, "review: really?")
    assert questions_of(model.requests[-1]) == ["is it safe?", "really?"]


@pytest.fixture
def handbook(bots: Bots, tmp_path: Path, model: ScriptedModel) -> Path:
    """The operator's roles: one that reads in a folder, and one that replaces the review."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text("Thirty days of leave.\n")
    (tmp_path / "salaries.md").write_text("a needle outside\n")
    (folder / "link.md").symlink_to(tmp_path / "salaries.md")
    (tmp_path / "roles.toml").write_text(HANDBOOK)
    bots.env["ROLES_FILE"] = str(tmp_path / "roles.toml")
    model.models = ["scripted-1", "scripted-2", "scripted-3"]
    return folder


@pytest.mark.usefixtures("handbook")
async def test_an_operators_role_has_its_own_prompt_model_and_tools(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    await ask_role(slack, ts, "handbook: how much leave?", "bob")
    request = model.requests[-1]
    assert "Answer from the handbook only." in request.system
    assert (request.model, request.effort) == ("scripted-2", "low")
    assert sorted(request.tool_names) == ["glob", "grep", "view"]
    await slack.say("bob", GENERAL, "thanks", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: thanks")
    assert (model.requests[-1].model, model.requests[-1].tools) == ("scripted-1", 0)
    listed = full_text_of(await slack.card_for("bob", GENERAL, "!role", ts))
    assert "model scripted-2, can read files" in listed
    assert "handbook only" not in listed


@pytest.mark.usefixtures("handbook")
async def test_an_operators_role_goes_before_the_built_in_one_of_its_name(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("bob", "review: 1 + 1 = 3")
    assert "Look for wrong sums first." in model.requests[-1].system
    assert REVIEW not in model.requests[-1].system


@pytest.mark.usefixtures("handbook")
@pytest.mark.parametrize(
    ("call", "found"),
    [
        (ToolCall("view", {"path": "leave.md"}), True),
        (ToolCall("grep", {"pattern": "leave", "output_mode": "content"}), True),
        (ToolCall("glob", {"pattern": "*.md"}), True),
        (ToolCall("view", {"path": "../salaries.md"}), False),
        (ToolCall("view", {"path": "link.md"}), False),
        (ToolCall("grep", {"pattern": "needle", "path": "..", "output_mode": "content"}), False),
        (ToolCall("bash", {"command": "cat ../salaries.md"}), False),
    ],
)
async def test_a_role_reads_in_its_folder_and_nowhere_else(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, call: ToolCall, found: bool
) -> None:
    model.when("look it up", Answer(lambda request: request.results[-1]))
    model.when("look it up", Answer(calls=[call], times=1))
    await bots.start()
    ts = await slack.say("bob", GENERAL, "@threadpilot handbook: look it up")
    [shown] = await slack.wait_until_answered(GENERAL, ts)
    assert ("leave" in shown) is found
    assert "needle outside" not in shown


@pytest.mark.usefixtures("handbook")
async def test_a_choice_for_the_thread_is_the_main_sessions_and_the_role_keeps_its_model(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    await slack.say("bob", GENERAL, "!model scripted-3", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "chose scripted-3")
    await ask_role(slack, ts, "handbook: how much leave?", "bob")
    assert model.requests[-1].model == "scripted-2"
    await ask_role(slack, ts, "review: how much leave, then?", "bob")
    assert model.requests[-1].model == "scripted-3"


@pytest.mark.usefixtures("handbook")
async def test_a_role_that_is_gone_from_the_file_is_a_question_like_any_other(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        ts = await slack.ask_in_new_thread("bob", "handbook: how much leave?")
    del bots.env["ROLES_FILE"]
    async with bots.running():
        await slack.say("bob", GENERAL, "handbook: and now?", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: handbook: and now?")
    assert model.requests[-1].tools == 0
