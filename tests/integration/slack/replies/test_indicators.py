"""What is shown for a time is taken back, under Slack's own limits and when its calls come late."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.slack import workspace as slack_workspace
from bot.slack.api import late_calls as late
from bot.slack.api.rate_limiter import RULES
from bot.slack.replies import status
from tests.conformance.http_client import ALICE, GENERAL, eventually
from tests.fakes import HandClock, QuickClock
from tests.integration.slack.replies.reply_fixtures import ONE, SEVERAL, Replying, again, replying

SET = "agents.sessions.setStatus"
TAKE_BACK_LATER = late.LATE_SECONDS + 1


async def set_to(bot: Replying) -> list[str]:
    """What the thread's status was set to, in order; what Slack did not take is left out."""
    calls = await bot.outside.calls(SET)
    return [c["arguments"]["status"] for c in calls if (c["answer"] or {}).get("ok")]


async def working(bot: Replying, *turns: Turn) -> list[str]:
    """The threads that have a Stop button, which is pressed for that."""
    found = []
    for turn in turns:
        thread = {"channel": turn.message.thread.channel, "thread_ts": turn.message.thread.root_ts}
        pressed = await bot.outside.call("agents.sessions.stop", ALICE, **thread)
        if pressed.get("error") != "session_not_processing":
            found.append(turn.message.ts)
    return found


async def marked(bot: Replying, turn: Turn) -> bool:
    said = await bot.outside.do("reactions.get", ALICE, channel=GENERAL, timestamp=turn.message.ts)
    return bool(said["message"].get("reactions"))


async def test_of_sixty_answers_at_once_none_shows_work_when_it_is_over() -> None:
    """Whoever shows work keeps a call for taking that back, so that the others cannot use it up;
    those that found none left show it when there is one again."""
    clock = HandClock()
    async with replying(clock) as bot:
        turns = [await bot.asked() for _ in range(60)]
        left: list[bool] = []

        async def answer(number: int) -> None:
            people = SEVERAL if number % 3 else ONE
            async with bot.workspace.reply_to(turns[number], people) as reply:
                for word in range(10 + number % 7):
                    reply.append(f"{number}:{word} ")
                    await clock.sleep(3.0)
                await reply.finish(f"{number}: the end")
            left.append(reply.status_left)

        answers = [asyncio.create_task(answer(number)) for number in range(60)]
        await bot.until_through(answers, clock, most_seconds=600)
        calls = Counter(call["status"] for call in await bot.outside.calls(SET))
        shown = {call["arguments"]["thread_ts"] for call in await bot.outside.calls(SET)}
        assert await working(bot, *turns) == []
    assert left == [False] * 60
    assert calls[429] == 0
    assert len(shown) >= 20, "work is shown where it can be taken back"


async def test_a_status_that_slack_would_not_take_back_for_minutes_is_left_for_later() -> None:
    async with replying(QuickClock()) as bot:
        turn = await bot.asked()
        async with bot.workspace.reply_to(turn, SEVERAL) as reply:
            await eventually(lambda: set_to(bot), "the thread shows work")
            await bot.fault(SET, "500", times=1_000)
            await reply.finish("Done.")
        assert reply.status_left
        assert await bot.texts(turn) == ["Done."]
        await until_tried(bot, turn)
        await bot.no_faults()
        assert await bot.workspace.take_status_back(turn.message.thread)
        assert await working(bot, turn) == []


async def until_tried(bot: Replying, turn: Turn) -> None:
    """Until taking the status back is tried, and comes to nothing."""

    async def tried() -> bool:
        try:
            await bot.workspace.take_status_back(turn.message.thread)
        except SlackError as error:
            return error.passing
        return False

    await eventually(tried, "it is tried")


async def test_a_status_that_is_left_is_not_taken_from_the_next_answer_of_its_thread() -> None:
    async with replying(HandClock()) as bot:
        turn = await bot.asked()
        async with bot.workspace.reply_to(turn, SEVERAL) as reply:
            await eventually(lambda: set_to(bot), "the thread shows work")
            assert not await bot.workspace.take_status_back(turn.message.thread)
            await reply.finish("Done.")
    assert reply.status_left is False


async def test_a_status_that_comes_after_it_was_taken_back_is_taken_back_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its call was given up, and Slack carries it out when the answer stands there."""
    monkeypatch.setattr(status, "_SECONDS", 0.2)
    clock = HandClock()
    async with replying(clock) as bot:
        turn = await bot.asked()
        await bot.fault(SET, "slow", seconds=20)
        async with bot.workspace.reply_to(turn, SEVERAL) as reply:
            await eventually(lambda: given_up(clock), "the call is given up")
            await reply.finish("Done.")
        assert await set_to(bot) == ["active"]
        assert reply.status_left
        await bot.outside.advance(20)
        await eventually(lambda: come_late(bot), "the status comes")
        assert not await bot.workspace.take_status_back(turn.message.thread), "more may come"
        await clock.advance(TAKE_BACK_LATER)
        assert await bot.workspace.take_status_back(turn.message.thread)
        assert await working(bot, turn) == []


async def given_up(clock: HandClock) -> bool:
    """Whether the status is to be tried again."""
    return clock.sleeping >= 1


async def come_late(bot: Replying) -> bool:
    return (await set_to(bot))[-1] == "processing"


async def test_a_mark_that_comes_after_it_was_taken_back_is_taken_back_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slack_workspace, "_ASIDE_SECONDS", 0.2)
    clock = HandClock()
    async with replying(clock) as bot:
        await clock.advance(TAKE_BACK_LATER)
        turn = await bot.asked()
        await bot.fault("reactions.add", "slow", seconds=20)
        assert await bot.workspace.mark_waiting(turn.message), "it may stand there"
        assert not await bot.workspace.unmark_waiting(turn.message), "it may come still"
        await bot.outside.advance(20)
        await eventually(lambda: marked(bot, turn), "it comes")
        await clock.advance(TAKE_BACK_LATER)
        assert await bot.workspace.unmark_waiting(turn.message)
        assert not await marked(bot, turn)


async def test_a_mark_on_its_way_when_the_bot_was_killed_may_come_after_the_restart() -> None:
    clock = HandClock()
    async with replying(clock) as bot:
        turn = await bot.asked()
        assert not await bot.workspace.unmark_waiting(turn.message)
        await clock.advance(TAKE_BACK_LATER)
        assert await bot.workspace.unmark_waiting(turn.message)


async def test_a_mark_that_slack_surely_did_not_take_is_none() -> None:
    async with replying() as bot:
        turn = await bot.asked()
        await bot.fault("reactions.add", "error", error="too_many_reactions")
        assert not await bot.workspace.mark_waiting(turn.message)


async def test_a_mark_is_not_waited_for_where_slack_takes_no_more_calls() -> None:
    """It would keep others from being told something; it is taken back later."""
    clock = HandClock()
    async with replying(clock) as bot:
        turns = [await bot.asked() for _ in range(RULES["reactions.remove"].calls + 1)]
        for turn in turns:
            assert await bot.workspace.mark_waiting(turn.message)
        for turn in turns[:-1]:
            assert await bot.workspace.unmark_waiting(turn.message)
        with pytest.raises(SlackError, match="ratelimited") as refused:
            await bot.workspace.unmark_waiting(turns[-1].message)
        assert refused.value.passing
        await clock.advance(refused.value.retry_after)
        await bot.outside.advance(refused.value.retry_after)
        assert await bot.workspace.unmark_waiting(turns[-1].message)
        assert len(await bot.outside.calls("reactions.remove")) == len(turns)


async def test_killed_while_it_showed_work_the_next_answer_takes_that_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that is over too soon to show work itself."""
    async with replying() as bot:
        turn = await bot.asked()
        async with bot.workspace.reply_to(turn, SEVERAL):
            await eventually(lambda: set_to(bot), "the thread shows work")
            bot.restart()
            monkeypatch.setattr(status, "FIRST_SECONDS", 0.5)
            async with bot.workspace.reply_to(again(turn), SEVERAL) as reply:
                await reply.finish("I was restarted.")
            assert not reply.status_left
            assert await set_to(bot) == ["processing", "active"]
        assert await working(bot, turn) == []


async def test_killed_while_it_showed_work_it_is_taken_back_when_nothing_more_can_come() -> None:
    """Of a message, for example, that was deleted before it was answered again."""
    clock = HandClock()
    async with replying(clock) as bot:
        turn = await bot.asked()
        async with bot.workspace.reply_to(turn, SEVERAL):
            await eventually(lambda: set_to(bot), "the thread shows work")
            bot.restart()
            assert not await bot.workspace.take_status_back(turn.message.thread)
            await clock.advance(TAKE_BACK_LATER)
            assert await bot.workspace.take_status_back(turn.message.thread)
            assert await working(bot, turn) == []


@pytest.mark.parametrize("code", ["feature_disabled", "access_denied", "channel_not_found"])
async def test_what_can_never_be_taken_back_is_not_tried_for_ever(code: str) -> None:
    clock = HandClock()
    async with replying(clock) as bot:
        await clock.advance(TAKE_BACK_LATER)
        turn = await bot.asked()
        await bot.fault(SET, "error", error=code)
        assert await bot.workspace.take_status_back(turn.message.thread)


async def test_statuses_that_were_left_go_before_new_ones() -> None:
    """However much is answered meanwhile: for each a call is kept."""
    clock = HandClock()
    async with replying(clock) as bot:
        turns = [await bot.asked() for _ in range(60)]
        late, new = turns[:20], turns[20:]
        async with AsyncExitStack() as stack:
            replies = [
                await stack.enter_async_context(bot.workspace.reply_to(turn, SEVERAL))
                for turn in late
            ]
            await eventually(lambda: so_many_work(bot, len(late)), "all of them show work")
            await bot.fault(SET, "500", times=10_000)
            leaving = asyncio.create_task(stack.pop_all().aclose())
            while not leaving.done():
                await clock.advance(1.0)
                await asyncio.sleep(0.01)
            assert all(reply.status_left for reply in replies)
        await bot.no_faults()
        await clock.advance(61)
        await bot.outside.advance(120)
        async with AsyncExitStack() as stack:
            for turn in new:
                await stack.enter_async_context(bot.workspace.reply_to(turn, SEVERAL))
            await eventually(lambda: so_many_work(bot, len(late) + 10), "new ones show work, too")
            for turn in late:
                assert await bot.workspace.take_status_back(turn.message.thread)
        assert await working(bot, *turns) == []


async def so_many_work(bot: Replying, count: int) -> bool:
    return (await set_to(bot)).count("processing") >= count
