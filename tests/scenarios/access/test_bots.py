"""Other bots: answered when they are on the list and mention the bot, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bot.access import texts as access_texts
from bot.domain.messages import BOTS_IN_A_ROW
from tests.emulator_client import GENERAL, Refusal
from tests.scenarios.conftest import Bots, Scene
from tests.scripted_model import ScriptedModel

ROBOT = "xoxb-robot"
ASKED = "<@U0PILOT> and then?"


async def robot_says(slack: Scene, text: str, thread_ts: str | None = None) -> str:
    """The other app's bot posts; the message's ts."""
    answer = await slack.ask(
        ROBOT, "chat.postMessage", channel=GENERAL, text=text, thread_ts=thread_ts
    )
    if not answer["ok"]:
        raise Refusal("chat.postMessage", answer)
    return str(answer["ts"])


@pytest.fixture(autouse=True)
async def robot(slack: Scene) -> None:
    """The other bot is in #general."""
    assert (await slack.ask(ROBOT, "conversations.join", channel=GENERAL))["ok"]


@asynccontextmanager
async def ping_pong(slack: Scene, root: str) -> AsyncIterator[None]:
    """The other bot asks anew under each answer, as often as there is one."""

    async def asks() -> None:
        answered = 0
        while True:
            said = len(await ours(slack, root))
            if said > answered:
                answered = said
                await robot_says(slack, ASKED, root)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(asks())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ours(slack: Scene, root: str) -> list[str]:
    """What our bot says in the thread."""
    said = await slack.replies(GENERAL, root)
    return [str(each["text"]) for each in said if each["user"] == "U0PILOT"]


async def until_ours(slack: Scene, root: str, count: int) -> list[str]:
    async def there() -> list[str] | None:
        said = await ours(slack, root)
        return said if len(said) >= count else None

    return await slack.wait_for(there, 60.0, f"{count} messages of ours")


@pytest.mark.parametrize("listed", ["B0ROBOT", "U0ROBOT"])
async def test_a_listed_bot_is_answered_when_it_mentions_the_bot(
    bots: Bots, slack: Scene, model: ScriptedModel, listed: str
) -> None:
    """By either of its ids; what it says without a mention is for others."""
    bots.env["ALLOWED_BOTS"] = listed
    await bots.start()
    root = await robot_says(slack, "<@U0PILOT> what is Python?")
    await slack.until_shown(GENERAL, root, "You said: what is Python?")
    await robot_says(slack, "that is all", root)
    await slack.say("bob", GENERAL, "@threadpilot and Rust?", thread_ts=root)
    await slack.until_shown(GENERAL, root, "You said: and Rust?")
    assert len(await ours(slack, root)) == len(model.requests) == 2


async def test_a_bot_that_is_not_listed_is_not_answered_at_all(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    bots.env["ALLOWED_BOTS"] = "B0OTHER"
    await bots.start()
    root = await robot_says(slack, "<@U0PILOT> what is Python?")
    await slack.asked("bob", "hello")  # heard after it, and answered
    assert await ours(slack, root) == []
    assert len(model.requests) == 1


async def test_two_bots_that_talk_to_each_other_stop_until_a_person_writes(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    """A few answers, one sentence, silence; also over a restart; a person sets it going again."""
    bots.env["ALLOWED_BOTS"] = "B0ROBOT"
    root = await robot_says(slack, "hello, everybody")
    async with bots.running() as bot:
        await robot_says(slack, ASKED, root)
        async with ping_pong(slack, root):
            said = await until_ours(slack, root, BOTS_IN_A_ROW + 1)
            await slack.until_idle(bot)
        assert access_texts.BOTS_TALK in said[-1]
        assert len(model.requests) == BOTS_IN_A_ROW
    async with bots.running():
        await robot_says(slack, ASKED, root)
        await slack.asked("bob", "hello")  # heard after it, and answered
        assert len(await ours(slack, root)) == BOTS_IN_A_ROW + 1
        await slack.say("bob", GENERAL, "@robot go on, you two", thread_ts=root)
        await robot_says(slack, ASKED, root)
        await until_ours(slack, root, BOTS_IN_A_ROW + 2)
    assert model.requests[-1].prompt.endswith("and then?")


async def test_a_bot_orders_nothing(bots: Bots, slack: Scene, model: ScriptedModel) -> None:
    """What people would order by the same words is a question where a bot says it."""
    bots.env["ALLOWED_BOTS"] = "B0ROBOT"
    await bots.start()
    root = await slack.a_thread("bob", "hello")
    await robot_says(slack, "<@U0PILOT> !reset", root)
    await slack.until_shown(GENERAL, root, "You said: !reset")
    assert await slack.told_for("bob", GENERAL, root, "!status") != ""
    assert model.requests[-1].prompts[0] == "hello"
