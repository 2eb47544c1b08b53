"""For any input the author gets one clear sentence, and the bot continues."""

from __future__ import annotations

import pytest

from bot.access import texts as access_texts
from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind
from bot.turns import inbox
from tests.emulator_client import GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import Answer, ScriptedModel


@pytest.fixture(autouse=True)
async def _bot(bots: Bots) -> None:
    await bots.start()


async def the_answer_to(slack: ScenarioClient, person: str, text: str) -> str:
    ts = await slack.say(person, GENERAL, text)
    await slack.wait_until_answered(GENERAL, ts)
    [answer] = await slack.bot_texts(GENERAL, ts)
    return answer


async def and_it_still_works(slack: ScenarioClient) -> None:
    assert await the_answer_to(slack, "bob", "@threadpilot alive?") == "You said: alive?"


async def test_an_empty_mention(slack: ScenarioClient, model: ScriptedModel) -> None:
    assert access_texts.NO_QUESTION in await the_answer_to(slack, "alice", "@threadpilot")
    assert model.requests == []
    await and_it_still_works(slack)


async def test_only_emoji(slack: ScenarioClient, model: ScriptedModel) -> None:
    assert access_texts.ONLY_EMOJI in await the_answer_to(slack, "alice", "@threadpilot :tada: 🎉")
    assert model.requests == []


async def test_a_mention_of_40000_characters(slack: ScenarioClient, model: ScriptedModel) -> None:
    text = await the_answer_to(slack, "alice", "@threadpilot " + "x" * 39_900)
    assert "39,900 characters" in text
    assert "30,000" in text
    assert model.requests == []


async def test_an_external_user(slack: ScenarioClient, model: ScriptedModel) -> None:
    assert access_texts.EXTERNAL_USER in await the_answer_to(slack, "eve", "@threadpilot let me in")
    assert model.requests == []


async def test_a_model_that_answers_nothing(slack: ScenarioClient, model: ScriptedModel) -> None:
    model.when("hush", Answer(chunks=[]))
    text = await the_answer_to(slack, "alice", "@threadpilot hush")
    assert AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY] in text
    await and_it_still_works(slack)


@pytest.mark.parametrize(
    ("status", "fault"), [(400, AgentErrorKind.MODEL), (401, AgentErrorKind.ACCESS)]
)
async def test_a_model_that_refuses(
    status: int, fault: AgentErrorKind, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("please", Answer("canary-detail", fault=status))
    ts = await slack.say("alice", GENERAL, "@threadpilot please")
    await slack.until_shown(GENERAL, ts, AGENT_ERROR_MESSAGES[fault])
    [text] = await slack.bot_texts(GENERAL, ts)
    assert "canary" not in text
    assert "http" not in text
    assert str(status) not in text
    await and_it_still_works(slack)


async def test_markdown_that_breaks_blocks(slack: ScenarioClient, model: ScriptedModel) -> None:
    broken = "| a | b |\n|---|\n| 1 |\n\n```\nnever closed <b> & [x](javascript:1) " + "*" * 50
    model.when("break", Answer(broken))
    text = await the_answer_to(slack, "alice", "@threadpilot break it")
    assert text.startswith(broken)
    assert text.count("```") == 2


async def test_a_message_from_ourselves(slack: ScenarioClient, model: ScriptedModel) -> None:
    """Our own posts come back as events: no loops, not even if they mention us."""
    await the_answer_to(slack, "alice", "@threadpilot one")
    await slack.as_app("chat.postMessage", channel=GENERAL, text="<@U0PILOT> hello, me")
    await and_it_still_works(slack)
    assert [request.prompt for request in model.requests] == ["one", "alive?"]


async def test_an_edited_message_starts_nothing_and_its_author_is_notified(
    slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.edit("alice", GENERAL, ts, "@threadpilot two")
    assert await slack.wait_for_ephemeral("alice") == inbox.EDIT_TOO_LATE
    assert await slack.bot_texts(GENERAL, ts) == ["You said: one"]
    await and_it_still_works(slack)
    assert [request.prompt for request in model.requests] == ["one", "alive?"]


async def test_a_deleted_question_that_is_answered_already_changes_nothing(
    slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.delete("alice", GENERAL, ts)
    await and_it_still_works(slack)
    assert len(model.requests) == 2
