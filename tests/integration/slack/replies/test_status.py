"""The thread shows that the bot is working for exactly that time, with few calls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.domain.turns import Turn
from bot.slack.replies import status
from tests.conformance.http_client import ALICE, wait_until
from tests.integration.slack.replies.reply_fixtures import ONE, SEVERAL, ReplyFixture, reply_fixture

SET = "agents.sessions.setStatus"


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


async def set_to(bot: ReplyFixture) -> list[str]:
    """The statuses that the bot has set, in order."""
    return [call["arguments"]["status"] for call in await bot.outside.calls(SET)]


async def shows_no_work(bot: ReplyFixture, turn: Turn) -> bool:
    """True if the thread has no Stop button any more."""
    thread = {"channel": turn.message.thread.channel, "thread_ts": turn.message.thread.root_ts}
    pressed = await bot.outside.call("agents.sessions.stop", ALICE, **thread)
    return pressed.get("error") == "session_not_processing"


async def is_used_up(bot: ReplyFixture) -> bool:
    """True if the only fault has begun."""
    return bool(await bot.outside.control("faults") == [])


async def test_an_answer_that_is_over_at_once_has_no_status(
    bot: ReplyFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "START_DELAY_SECONDS", 60.0)
    async with bot.workspace.open_reply(await bot.start_turn(), ONE) as reply:
        await reply.finish("")
    assert await set_to(bot) == []


async def test_the_end_of_a_stream_takes_the_status_back_and_nothing_else_is_called_for_it(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await wait_until(lambda: set_to(bot), "the thread shows work")
        reply.append("One ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await reply.finish("One two.")
    assert await set_to(bot) == ["processing"]
    assert await shows_no_work(bot, turn)


async def test_a_status_that_arrives_late_is_cleared_by_a_call_of_its_own(
    bot: ReplyFixture,
) -> None:
    """It may come after the stream has ended, and would then stay."""
    await bot.fault(SET, "slow", seconds=1.0)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await wait_until(lambda: is_used_up(bot), "the status is on its way")
        reply.append("One ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await reply.finish("One two.")
        assert await set_to(bot) == [], "it is still on its way"
    assert await set_to(bot) == ["processing", "active"]
    assert await shows_no_work(bot, turn)


async def test_an_answer_that_comes_by_edits_takes_the_status_back(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await wait_until(lambda: set_to(bot), "the thread shows work")
        await reply.finish("One two.")
    assert await set_to(bot) == ["processing", "active"]
    assert await shows_no_work(bot, turn)


async def test_a_reply_that_is_left_without_a_word_takes_the_status_back(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE):
        await wait_until(lambda: set_to(bot), "the thread shows work")
    assert await set_to(bot) == ["processing", "active"]
