"""Replies stay below Slack's limits together, and each call's wait has an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.model import Delivery
from bot.slack.calls import CallError, Calls, make_client
from bot.slack.pace import APPENDS_A_MINUTE, EDITS_A_MINUTE, STARTS_A_MINUTE, Pace, set_or_past
from bot.slack.status import Statuses
from tests.conformance.outside import BOT, eventually
from tests.fakes import HandClock, QuickClock
from tests.slack.replying import Replying, replying


@pytest.fixture
async def bot() -> AsyncIterator[Replying]:
    async with replying() as bot:
        yield bot


# Pace -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit", "slack"),
    [
        ("may_start", STARTS_A_MINUTE, 20),
        ("may_append", APPENDS_A_MINUTE, 100),
        ("may_edit", EDITS_A_MINUTE, 50),
    ],
)
async def test_no_minute_has_more_calls_than_slack_allows(
    name: str, limit: int, slack: int
) -> None:
    clock = HandClock()
    ask = getattr(Pace(clock), name)
    allowed: list[float] = []
    for _ in range(400):
        if ask():
            allowed.append(clock.monotonic())
        await clock.advance(0.5)
    busiest = max(sum(start <= at < start + 60 for at in allowed) for start in allowed)
    assert busiest == limit < slack
    assert len(allowed) >= 3 * limit


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_many_replies_at_once_each_write_less_often(delivery: Delivery) -> None:
    pace = Pace(HandClock())
    pace.join()
    alone = pace.interval(delivery)
    for _ in range(9):
        pace.join()
    assert pace.interval(delivery) > 5 * alone
    limit = APPENDS_A_MINUTE if delivery is Delivery.STREAM else EDITS_A_MINUTE
    assert 10 * 60 / pace.interval(delivery) <= limit + 1e-6
    for _ in range(9):
        pace.leave()
    assert pace.interval(delivery) == alone


async def test_a_wait_ends_by_its_event_or_by_the_clock() -> None:
    clock, event = HandClock(), asyncio.Event()
    by_clock = asyncio.create_task(set_or_past(event, clock, 5.0))
    by_event = asyncio.create_task(set_or_past(event, clock, None))
    await clock.advance(5)
    assert by_clock.done()
    assert not by_event.done()
    event.set()
    await asyncio.wait_for(by_event, 1)
    assert clock.sleeping == 0


# Calls ------------------------------------------------------------------------------------------


async def test_too_many_calls_wait_as_long_as_slack_says(bot: Replying) -> None:
    clock = HandClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "429", retry_after=7)
    call = asyncio.create_task(_call(Calls(clock)(client.auth_test)))

    async def waits() -> bool:
        return clock.sleeping == 1

    await eventually(waits, "the call waits")
    await clock.advance(6.9)
    assert not call.done()
    await clock.advance(0.1)
    assert (await asyncio.wait_for(call, 5)) == "U0PILOT"


async def _call(answer: object) -> str:
    assert asyncio.iscoroutine(answer)
    return str((await answer)["user_id"])


async def test_a_wait_that_slack_wants_too_long_is_not_waited(bot: Replying) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "429", retry_after=300)
    with pytest.raises(CallError) as refused:
        await Calls(HandClock())(client.auth_test)
    assert (refused.value.code, refused.value.maybe_done) == ("ratelimited", False)
    assert refused.value.passing


@pytest.mark.parametrize(
    ("kind", "maybe_done"),
    [("drop_before", True), ("drop_after", True), ("500", True), ("garbage", True)],
)
async def test_what_may_have_been_done_is_known_as_such(
    bot: Replying, kind: str, maybe_done: bool
) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", kind)
    with pytest.raises(CallError) as failed:
        await Calls(QuickClock())(client.auth_test)
    assert failed.value.maybe_done is maybe_done
    assert "http" not in str(failed.value).replace("http_", "")
    assert BOT not in str(failed.value)


async def test_an_answer_that_does_not_come_is_not_waited_for(bot: Replying) -> None:
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    await bot.fault("auth.test", "slow", seconds=5)
    with pytest.raises(CallError, match="timeout") as late:
        await Calls(QuickClock())(client.auth_test, seconds=0.1)
    assert late.value.maybe_done


async def test_a_refusal_was_certainly_not_done(bot: Replying) -> None:
    client = make_client("xoxb-unknown", f"{bot.outside.url}/api/", bot.session)
    with pytest.raises(CallError, match="invalid_auth") as refused:
        await Calls(QuickClock())(client.auth_test)
    assert not refused.value.maybe_done
    assert not refused.value.passing


async def test_a_slack_that_is_not_there_did_certainly_nothing(bot: Replying) -> None:
    client = make_client(BOT, "http://127.0.0.1:9/api/", bot.session)
    with pytest.raises(CallError, match="unreachable") as gone:
        await Calls(QuickClock())(client.auth_test)
    assert not gone.value.maybe_done
    assert gone.value.passing


# Status -----------------------------------------------------------------------------------------


async def test_the_status_of_an_older_reply_does_not_undo_a_newer_one_s(bot: Replying) -> None:
    turn = await bot.asked()
    clock = QuickClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    statuses = Statuses(client, Calls(clock), clock)
    older = statuses.show(turn.message.thread)
    newer = statuses.show(turn.message.thread)
    await eventually(lambda: bot.outside.calls("agents.sessions.setStatus"), "work is shown")
    await older.end(8.0)
    assert await _statuses(bot) == ["processing"]
    await newer.end(8.0)
    assert await _statuses(bot) == ["processing", "active"]


async def test_words_are_said_again_before_slack_takes_them_away(bot: Replying) -> None:
    await bot.outside.control("app", {"agent_sessions": False})
    turn = await bot.asked()
    clock = HandClock()
    client = make_client(BOT, f"{bot.outside.url}/api/", bot.session)
    showing = Statuses(client, Calls(clock), clock).show(turn.message.thread)

    async def said(times: int) -> bool:
        return len(await bot.outside.calls("assistant.threads.setStatus")) == times

    await eventually(lambda: said(1), "the words are there")

    async def waits() -> bool:
        return clock.sleeping == 1

    await eventually(waits, "the words have been said")
    await clock.advance(100)
    await eventually(lambda: said(2), "the words are said again")
    await showing.end(8.0)
    calls = await bot.outside.calls("assistant.threads.setStatus")
    assert [call["arguments"]["status"] for call in calls] == ["is thinking…", "is thinking…", ""]


@pytest.mark.parametrize("kind", ["drop_before", "500", "429", "garbage"])
async def test_trouble_with_the_status_is_not_the_reply_s(bot: Replying, kind: str) -> None:
    await bot.fault("agents.sessions.setStatus", kind, times=5)
    turn = await bot.asked()
    async with bot.workspace.reply_to(turn, frozenset()) as reply:
        await reply.finish("An answer.")
    assert await bot.texts(turn) == ["An answer."]


async def _statuses(bot: Replying) -> list[str]:
    calls = await bot.outside.calls("agents.sessions.setStatus")
    return [str(call["arguments"]["status"]) for call in calls]
