"""All replies together stay within Slack's rate limits, and each call's wait has an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from bot.slack.api.calls import ApiCaller, CallContext, SlackCallError
from bot.slack.api.client import SlackClient, make_client
from bot.slack.api.rate_limiter import Priority
from bot.slack.replies.status import ThreadStatuses
from bot.tasks import wait_for_event
from tests.conformance.http_client import BOT, wait_until
from tests.fakes import ManualClock, QuickClock
from tests.integration.slack.replies.reply_fixtures import ONE, SEVERAL, ReplyFixture, reply_fixture


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


async def test_a_wait_ends_by_its_event_or_by_the_clock() -> None:
    clock, event = ManualClock(), asyncio.Event()
    by_clock = asyncio.create_task(wait_for_event(event, clock, 5.0))
    by_event = asyncio.create_task(wait_for_event(event, clock, None))
    await clock.advance(5)
    assert by_clock.done()
    assert not by_event.done()
    event.set()
    await asyncio.wait_for(by_event, 1)
    assert clock.sleeping == 0


# Calls ------------------------------------------------------------------------------------------


async def test_too_many_calls_wait_as_long_as_slack_says(bot: ReplyFixture) -> None:
    clock = ManualClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "429", retry_after=7)
    call = asyncio.create_task(_call(ApiCaller(clock)(client.auth_test)))

    async def waits() -> bool:
        return clock.sleeping == 1

    await wait_until(waits, "the call waits")
    await clock.advance(6.9)
    assert not call.done()
    await clock.advance(0.1)
    assert (await asyncio.wait_for(call, 5)) == "U0PILOT"


async def _call(answer: object) -> str:
    assert asyncio.iscoroutine(answer)
    return str((await answer)["user_id"])


async def test_a_wait_that_slack_wants_too_long_is_not_waited(bot: ReplyFixture) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "429", retry_after=300)
    with pytest.raises(SlackCallError) as refused:
        await ApiCaller(ManualClock())(client.auth_test)
    assert (refused.value.code, refused.value.maybe_done) == ("ratelimited", False)
    assert refused.value.transient


@pytest.mark.parametrize(
    ("kind", "maybe_done"),
    [("drop_before", True), ("drop_after", True), ("500", True), ("garbage", True)],
)
async def test_what_may_have_been_done_is_known_as_such(
    bot: ReplyFixture, kind: str, maybe_done: bool
) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", kind)
    with pytest.raises(SlackCallError) as failed:
        await ApiCaller(QuickClock())(client.auth_test)
    assert failed.value.maybe_done is maybe_done
    assert "http" not in str(failed.value).replace("http_", "")
    assert BOT not in str(failed.value)


async def test_an_answer_that_does_not_come_is_not_waited_for(bot: ReplyFixture) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "slow", seconds=5)
    with pytest.raises(SlackCallError, match="timeout") as late:
        await ApiCaller(QuickClock())(client.auth_test, seconds=0.1)
    assert late.value.maybe_done


async def test_a_refusal_was_certainly_not_done(bot: ReplyFixture) -> None:
    client = make_client("xoxb-unknown", f"{bot.outside.url}/api/", bot.session)
    with pytest.raises(SlackCallError, match="invalid_auth") as refused:
        await ApiCaller(QuickClock())(client.auth_test)
    assert not refused.value.maybe_done
    assert not refused.value.transient


async def test_a_slack_that_is_not_there_did_certainly_nothing(bot: ReplyFixture) -> None:
    client = make_client(BOT, "http://127.0.0.1:9/api/", bot.session)
    with pytest.raises(SlackCallError, match="unreachable") as gone:
        await ApiCaller(QuickClock())(client.auth_test)
    assert not gone.value.maybe_done
    assert gone.value.transient


# Status -----------------------------------------------------------------------------------------


async def test_the_status_of_an_older_reply_does_not_undo_a_newer_one_s(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    clock = QuickClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    statuses = ThreadStatuses(SlackClient(client, ApiCaller(clock)), clock)
    older = statuses.open_status(turn.message.thread)
    newer = statuses.open_status(turn.message.thread)
    await wait_until(lambda: bot.outside.calls("agents.sessions.setStatus"), "work is shown")
    await older.clear(8.0)
    assert await _statuses(bot) == ["processing"]
    await newer.clear(8.0)
    assert await _statuses(bot) == ["processing", "active"]


async def test_a_status_that_is_shown_again_is_cleared_again(bot: ReplyFixture) -> None:
    """Even if the end of a stream has cleared it before."""
    turn = await bot.start_turn()
    clock = QuickClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    showing = ThreadStatuses(SlackClient(client, ApiCaller(clock)), clock).open_status(
        turn.message.thread
    )

    async def stands() -> bool:
        return showing.is_confirmed

    await wait_until(stands, "work is shown")
    showing.mark_cleared()
    showing.renew()
    await wait_until(stands, "work is shown again")
    await showing.clear(8.0)
    assert await _statuses(bot) == ["processing", "processing", "active"]


async def test_a_text_status_is_renewed_before_slack_removes_it(bot: ReplyFixture) -> None:
    await bot.outside.control("app", {"agent_sessions": False})
    turn = await bot.start_turn()
    clock = ManualClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    showing = ThreadStatuses(SlackClient(client, ApiCaller(clock)), clock).open_status(
        turn.message.thread
    )

    async def is_called(times: int) -> bool:
        return len(await bot.outside.calls("assistant.threads.setStatus")) == times

    await wait_until(lambda: is_called(1), "the words are there")

    async def waits() -> bool:
        return clock.sleeping == 1

    await wait_until(waits, "the words have been said")
    await clock.advance(100)
    await wait_until(lambda: is_called(2), "the words are said again")
    await showing.clear(8.0)
    calls = await bot.outside.calls("assistant.threads.setStatus")
    assert [call["arguments"]["status"] for call in calls] == ["is thinking…", "is thinking…", ""]


@pytest.mark.parametrize("kind", ["drop_before", "500", "429", "garbage"])
async def test_trouble_with_the_status_is_not_the_reply_s(bot: ReplyFixture, kind: str) -> None:
    await bot.fault("agents.sessions.setStatus", kind, times=5)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, frozenset()) as reply:
        await reply.finish("An answer.")
    assert await bot.texts(turn) == ["An answer."]


async def _statuses(bot: ReplyFixture) -> list[str]:
    calls = await bot.outside.calls("agents.sessions.setStatus")
    return [str(call["arguments"]["status"]) for call in calls]


# Many at once -----------------------------------------------------------------------------------


async def test_sixty_answers_at_once_are_all_shown_and_slack_never_says_too_many() -> None:
    """Slack allows a message a second in a channel, 20 streams and 50 edits a minute. So most of
    these are posted when they are complete."""
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turns = [await bot.start_turn() for _ in range(60)]

        async def answer(number: int) -> None:
            participants = SEVERAL if number % 3 else ONE
            async with bot.workspace.open_reply(turns[number], participants) as reply:
                for word in range(10):
                    reply.append(f"{number}:{word} ")
                    await clock.sleep(1.0)
                await reply.finish("".join(f"{number}:{word} " for word in range(10)))

        answers = [asyncio.create_task(answer(number)) for number in range(60)]
        await bot.wait_until_delivered(answers, clock, most_seconds=200)
        for number, turn in enumerate(turns):
            assert await bot.texts(turn) == ["".join(f"{number}:{word} " for word in range(10))]
        calls = await bot.outside.control("calls")
    assert [call["method"] for call in calls if call["status"] == 429] == []
    assert clock.monotonic() < 100


async def test_who_has_a_lot_to_say_writes_no_more_often_than_the_others() -> None:
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turns = [await bot.start_turn() for _ in range(3)]
        async with AsyncExitStack() as stack:
            talker, *others = [
                await stack.enter_async_context(bot.workspace.open_reply(turn, ONE))
                for turn in turns
            ]
            for _ in range(12):
                talker.append("word " * 160)
                for other in others:
                    other.append("w ")
                await asyncio.sleep(0.03)
                await clock.advance(0.5)
            for number, reply in enumerate((talker, *others)):
                await reply.finish("word " * 160 * 12 if number == 0 else "w " * 12)
        shown = {turn.message.ts: (await bot.messages(turn))[0]["ts"] for turn in turns}
        appends = await bot.outside.calls("chat.appendStream")
        counts = [
            sum(call["arguments"]["ts"] == shown[turn.message.ts] for call in appends)
            for turn in turns
        ]
    assert min(counts) >= 1
    assert counts[0] <= max(counts[1:]) + 1


async def test_slack_saying_too_many_to_one_caller_makes_all_of_them_wait(
    bot: ReplyFixture,
) -> None:
    clock = ManualClock()
    calls = ApiCaller(clock)
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "429", retry_after=7)
    first = asyncio.create_task(_call(calls(client.auth_test)))

    async def waits() -> bool:
        return clock.sleeping == 1

    await wait_until(waits, "the first one waits")
    with pytest.raises(SlackCallError, match="ratelimited") as refused:
        await calls(client.auth_test, CallContext(priority=Priority.OPTIONAL))
    assert refused.value.retry_after == 7
    second = asyncio.create_task(_call(calls(client.auth_test)))
    await clock.advance(6.9)
    assert len(await bot.outside.calls("auth.test")) == 1
    await clock.advance(0.1)
    assert await asyncio.wait_for(first, 5) == "U0PILOT"
    assert await asyncio.wait_for(second, 5) == "U0PILOT"
