"""Other bots are answered if they are listed and mention the bot, for a limited number of turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bot.access import texts as access_texts
from bot.domain.messages import MAX_CONSECUTIVE_BOT_TURNS
from tests.emulator_client import GENERAL, Refusal
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import ScriptedModel

ROBOT = "xoxb-robot"
FOLLOW_UP = "<@U0PILOT> and then?"


async def robot_says(slack: ScenarioClient, text: str, thread_ts: str | None = None) -> str:
    """The other app's bot posts; returns the message's ts."""
    answer = await slack.ask(
        ROBOT, "chat.postMessage", channel=GENERAL, text=text, thread_ts=thread_ts
    )
    if not answer["ok"]:
        raise Refusal("chat.postMessage", answer)
    return str(answer["ts"])


@pytest.fixture(autouse=True)
async def robot(slack: ScenarioClient) -> None:
    """The other bot is in #general."""
    assert (await slack.ask(ROBOT, "conversations.join", channel=GENERAL))["ok"]


@asynccontextmanager
async def ping_pong(slack: ScenarioClient, root: str) -> AsyncIterator[None]:
    """The other bot asks again after each answer, as often as there is one."""

    async def asks() -> None:
        answered = 0
        while True:
            count = len(await bot_messages_in(slack, root))
            if count > answered:
                answered = count
                await robot_says(slack, FOLLOW_UP, root)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(asks())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def bot_messages_in(slack: ScenarioClient, root: str) -> list[str]:
    """The texts of our bot in the thread."""
    messages = await slack.replies(GENERAL, root)
    return [str(each["text"]) for each in messages if each["user"] == "U0PILOT"]


async def wait_for_bot_messages(slack: ScenarioClient, root: str, count: int) -> list[str]:
    async def there() -> list[str] | None:
        messages = await bot_messages_in(slack, root)
        return messages if len(messages) >= count else None

    return await slack.wait_for(there, 60.0, f"{count} messages of ours")


@pytest.mark.parametrize("listed", ["B0ROBOT", "U0ROBOT"])
async def test_a_listed_bot_is_answered_when_it_mentions_the_bot(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, listed: str
) -> None:
    """By either of its ids; a message without a mention is not for the bot."""
    bots.env["ALLOWED_BOTS"] = listed
    await bots.start()
    root = await robot_says(slack, "<@U0PILOT> what is Python?")
    await slack.until_shown(GENERAL, root, "You said: what is Python?")
    await robot_says(slack, "that is all", root)
    await slack.say("bob", GENERAL, "@threadpilot and Rust?", thread_ts=root)
    await slack.until_shown(GENERAL, root, "You said: and Rust?")
    assert len(await bot_messages_in(slack, root)) == len(model.requests) == 2


async def test_a_bot_that_is_not_listed_is_not_answered_at_all(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["ALLOWED_BOTS"] = "B0OTHER"
    await bots.start()
    root = await robot_says(slack, "<@U0PILOT> what is Python?")
    await slack.ask_in_new_thread("bob", "hello")  # received after it, and answered
    assert await bot_messages_in(slack, root) == []
    assert len(model.requests) == 1


async def test_two_bots_that_talk_to_each_other_stop_until_a_user_writes(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A few answers, one sentence, then silence, also after a restart; a user's message starts it
    again."""
    bots.env["ALLOWED_BOTS"] = "B0ROBOT"
    root = await robot_says(slack, "hello, everybody")
    async with bots.running() as bot:
        await robot_says(slack, FOLLOW_UP, root)
        async with ping_pong(slack, root):
            messages = await wait_for_bot_messages(slack, root, MAX_CONSECUTIVE_BOT_TURNS + 1)
            await slack.until_idle(bot)
        assert access_texts.BOT_LOOP in messages[-1]
        assert len(model.requests) == MAX_CONSECUTIVE_BOT_TURNS
    async with bots.running():
        await robot_says(slack, FOLLOW_UP, root)
        await slack.ask_in_new_thread("bob", "hello")  # received after it, and answered
        assert len(await bot_messages_in(slack, root)) == MAX_CONSECUTIVE_BOT_TURNS + 1
        await slack.say("bob", GENERAL, "@robot go on, you two", thread_ts=root)
        await robot_says(slack, FOLLOW_UP, root)
        await wait_for_bot_messages(slack, root, MAX_CONSECUTIVE_BOT_TURNS + 2)
    assert model.requests[-1].prompt.endswith("and then?")


async def test_a_bot_runs_no_command(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A user's command is a question if a bot sends it."""
    bots.env["ALLOWED_BOTS"] = "B0ROBOT"
    await bots.start()
    root = await slack.start_thread("bob", "hello")
    await robot_says(slack, "<@U0PILOT> !reset", root)
    await slack.until_shown(GENERAL, root, "You said: !reset")
    assert await slack.ephemeral_after_message("bob", GENERAL, root, "!status") != ""
    assert model.requests[-1].prompts[0] == "hello"
