"""Statuses and reactions are cleared, even at Slack's rate limits and if calls come late."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.slack import workspace as slack_workspace
from bot.slack.api import late_calls as late
from bot.slack.api.rate_limiter import RATE_LIMITS
from bot.slack.replies import status
from tests.conformance.http_client import ALICE, GENERAL, wait_until
from tests.fakes import ManualClock, QuickClock
from tests.integration.slack.replies.reply_fixtures import (
    ONE,
    SEVERAL,
    ReplyFixture,
    reply_fixture,
    rerun_of,
)

SET = "agents.sessions.setStatus"
CLEAR_LATER = late.LATE_CALL_SECONDS + 1


async def set_to(bot: ReplyFixture) -> list[str]:
    """The statuses set on the thread, in order, without those that Slack refused."""
    calls = await bot.outside.calls(SET)
    return [c["arguments"]["status"] for c in calls if (c["answer"] or {}).get("ok")]


async def working(bot: ReplyFixture, *turns: Turn) -> list[str]:
    """The threads with a Stop button."""
    found = []
    for turn in turns:
        thread = {"channel": turn.message.thread.channel, "thread_ts": turn.message.thread.root_ts}
        pressed = await bot.outside.call("agents.sessions.stop", ALICE, **thread)
        if pressed.get("error") != "session_not_processing":
            found.append(turn.message.ts)
    return found


async def has_reaction(bot: ReplyFixture, turn: Turn) -> bool:
    response = await bot.outside.act(
        "reactions.get", ALICE, channel=GENERAL, timestamp=turn.message.ts
    )
    return bool(response["message"].get("reactions"))


async def test_of_sixty_answers_at_once_none_shows_work_when_it_is_over() -> None:
    """A thread that shows a status reserves a call for clearing it, so that the others cannot use
    it up. Threads that find no call left show a status when there is one again."""
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turns = [await bot.start_turn() for _ in range(60)]
        left: list[bool] = []

        async def answer(number: int) -> None:
            participants = SEVERAL if number % 3 else ONE
            async with bot.workspace.open_reply(turns[number], participants) as reply:
                for word in range(10 + number % 7):
                    reply.append(f"{number}:{word} ")
                    await clock.sleep(3.0)
                await reply.finish(f"{number}: the end")
            left.append(reply.may_show_status)

        answers = [asyncio.create_task(answer(number)) for number in range(60)]
        await bot.wait_until_delivered(answers, clock, most_seconds=600)
        calls = Counter(call["status"] for call in await bot.outside.calls(SET))
        shown = {call["arguments"]["thread_ts"] for call in await bot.outside.calls(SET)}
        assert await working(bot, *turns) == []
    assert left == [False] * 60
    assert calls[429] == 0
    assert len(shown) >= 20, "work is shown where it can be taken back"


async def test_a_status_that_slack_would_not_take_back_for_minutes_is_left_for_later() -> None:
    async with reply_fixture(QuickClock()) as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, SEVERAL) as reply:
            await wait_until(lambda: set_to(bot), "the thread shows work")
            await bot.fault(SET, "500", times=1_000)
            await reply.finish("Done.")
        assert reply.may_show_status
        assert await bot.texts(turn) == ["Done."]
        await until_tried(bot, turn)
        await bot.no_faults()
        assert await bot.workspace.clear_status(turn.message.thread)
        assert await working(bot, turn) == []


async def until_tried(bot: ReplyFixture, turn: Turn) -> None:
    """Wait until clearing the status was tried and failed."""

    async def tried() -> bool:
        try:
            await bot.workspace.clear_status(turn.message.thread)
        except SlackError as error:
            return error.transient
        return False

    await wait_until(tried, "it is tried")


async def test_a_status_that_is_left_is_not_taken_from_the_next_answer_of_its_thread() -> None:
    async with reply_fixture(ManualClock()) as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, SEVERAL) as reply:
            await wait_until(lambda: set_to(bot), "the thread shows work")
            assert not await bot.workspace.clear_status(turn.message.thread)
            await reply.finish("Done.")
    assert reply.may_show_status is False


async def test_a_status_that_arrives_after_it_was_cleared_is_cleared_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its call was abandoned, and Slack carries it out after the answer is shown."""
    monkeypatch.setattr(status, "_CALL_SECONDS", 0.2)
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turn = await bot.start_turn()
        await bot.fault(SET, "slow", seconds=20)
        async with bot.workspace.open_reply(turn, SEVERAL) as reply:
            await wait_until(lambda: given_up(clock), "the call is given up")
            await reply.finish("Done.")
        assert await set_to(bot) == ["active"]
        assert reply.may_show_status
        await bot.outside.advance(20)
        await wait_until(lambda: delay_calls(bot), "the status comes")
        assert not await bot.workspace.clear_status(turn.message.thread), "more may come"
        await clock.advance(CLEAR_LATER)
        assert await bot.workspace.clear_status(turn.message.thread)
        assert await working(bot, turn) == []


async def given_up(clock: ManualClock) -> bool:
    """Whether the status is to be tried again."""
    return clock.sleeping >= 1


async def delay_calls(bot: ReplyFixture) -> bool:
    return (await set_to(bot))[-1] == "processing"


async def test_a_mark_that_arrives_after_it_was_removed_is_removed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slack_workspace, "_CALL_SECONDS", 0.2)
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        await clock.advance(CLEAR_LATER)
        turn = await bot.start_turn()
        await bot.fault("reactions.add", "slow", seconds=20)
        assert await bot.workspace.add_waiting_reaction(turn.message), "it may stand there"
        assert not await bot.workspace.remove_waiting_reaction(turn.message), "it may come still"
        await bot.outside.advance(20)
        await wait_until(lambda: has_reaction(bot, turn), "it comes")
        await clock.advance(CLEAR_LATER)
        assert await bot.workspace.remove_waiting_reaction(turn.message)
        assert not await has_reaction(bot, turn)


async def test_a_mark_on_its_way_when_the_bot_was_killed_may_come_after_the_restart() -> None:
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turn = await bot.start_turn()
        assert not await bot.workspace.remove_waiting_reaction(turn.message)
        await clock.advance(CLEAR_LATER)
        assert await bot.workspace.remove_waiting_reaction(turn.message)


async def test_a_mark_that_slack_surely_did_not_take_is_none() -> None:
    async with reply_fixture() as bot:
        turn = await bot.start_turn()
        await bot.fault("reactions.add", "error", error="too_many_reactions")
        assert not await bot.workspace.add_waiting_reaction(turn.message)


async def test_a_mark_is_not_waited_for_where_slack_takes_no_more_calls() -> None:
    """A wait would delay other notices; the mark is removed later."""
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turns = [await bot.start_turn() for _ in range(RATE_LIMITS["reactions.remove"].calls + 1)]
        for turn in turns:
            assert await bot.workspace.add_waiting_reaction(turn.message)
        for turn in turns[:-1]:
            assert await bot.workspace.remove_waiting_reaction(turn.message)
        with pytest.raises(SlackError, match="ratelimited") as refused:
            await bot.workspace.remove_waiting_reaction(turns[-1].message)
        assert refused.value.transient
        await clock.advance(refused.value.retry_after)
        await bot.outside.advance(refused.value.retry_after)
        assert await bot.workspace.remove_waiting_reaction(turns[-1].message)
        assert len(await bot.outside.calls("reactions.remove")) == len(turns)


async def test_after_a_kill_the_next_answer_clears_the_old_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also an answer that ends too soon to show a status itself."""
    async with reply_fixture() as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, SEVERAL):
            await wait_until(lambda: set_to(bot), "the thread shows work")
            bot.restart()
            monkeypatch.setattr(status, "START_DELAY_SECONDS", 0.5)
            async with bot.workspace.open_reply(rerun_of(turn), SEVERAL) as reply:
                await reply.finish("I was restarted.")
            assert not reply.may_show_status
            assert await set_to(bot) == ["processing", "active"]
        assert await working(bot, turn) == []


async def test_after_a_kill_the_status_is_cleared_once_no_late_call_can_come() -> None:
    """For example of a message that was deleted before it was answered again."""
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, SEVERAL):
            await wait_until(lambda: set_to(bot), "the thread shows work")
            bot.restart()
            assert not await bot.workspace.clear_status(turn.message.thread)
            await clock.advance(CLEAR_LATER)
            assert await bot.workspace.clear_status(turn.message.thread)
            assert await working(bot, turn) == []


@pytest.mark.parametrize("code", ["feature_disabled", "access_denied", "channel_not_found"])
async def test_a_status_that_can_never_be_cleared_is_not_tried_without_end(code: str) -> None:
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        await clock.advance(CLEAR_LATER)
        turn = await bot.start_turn()
        await bot.fault(SET, "error", error=code)
        assert await bot.workspace.clear_status(turn.message.thread)


async def test_statuses_that_were_left_go_before_new_ones() -> None:
    """A call is reserved for each, however much is answered in the same time."""
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turns = [await bot.start_turn() for _ in range(60)]
        late, new = turns[:20], turns[20:]
        async with AsyncExitStack() as stack:
            replies = [
                await stack.enter_async_context(bot.workspace.open_reply(turn, SEVERAL))
                for turn in late
            ]
            await wait_until(lambda: so_many_work(bot, len(late)), "all of them show work")
            await bot.fault(SET, "500", times=10_000)
            leaving = asyncio.create_task(stack.pop_all().aclose())
            while not leaving.done():
                await clock.advance(1.0)
                await asyncio.sleep(0.01)
            assert all(reply.may_show_status for reply in replies)
        await bot.no_faults()
        await clock.advance(61)
        await bot.outside.advance(120)
        async with AsyncExitStack() as stack:
            for turn in new:
                await stack.enter_async_context(bot.workspace.open_reply(turn, SEVERAL))
            await wait_until(lambda: so_many_work(bot, len(late) + 10), "new ones show work, too")
            for turn in late:
                assert await bot.workspace.clear_status(turn.message.thread)
        assert await working(bot, *turns) == []


async def so_many_work(bot: ReplyFixture, count: int) -> bool:
    return (await set_to(bot)).count("processing") >= count
