"""While Slack refuses calls, for a time or for good, a thread shows nothing misleading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.turns import Turn
from bot.errors import SlackError
from tests.conformance.http_client import ALICE, GENERAL, wait_until
from tests.integration.slack.replies.reply_fixtures import (
    ONE,
    SEVERAL,
    ReplyFixture,
    reply_fixture,
    rerun_of,
)

PASSING = ["429", "500", "drop_before", "garbage"]
STATUS = "agents.sessions.setStatus"
ALL_CALLS = [
    *("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage"),
    *("chat.update", "chat.delete", "conversations.replies"),
]
FOR_GOOD = ["edit_window_closed", "cant_update_message", "message_not_found"]


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


async def reactions(bot: ReplyFixture, turn: Turn) -> object:
    response = await bot.outside.act(
        "reactions.get", ALICE, channel=GENERAL, timestamp=turn.message.ts
    )
    return response["message"].get("reactions", [])


async def taken(bot: ReplyFixture) -> list[object]:
    """The statuses that Slack accepted, in order."""
    calls = await bot.outside.calls(STATUS)
    return [call["arguments"]["status"] for call in calls if (call["answer"] or {}).get("ok")]


async def tried(bot: ReplyFixture) -> list[object]:
    """The statuses that were tried, native or as text."""
    words = await bot.outside.calls("assistant.threads.setStatus")
    return [*await taken(bot), *words]


@pytest.mark.parametrize("kind", PASSING)
async def test_the_status_is_cleared_though_slack_fails_at_first(
    bot: ReplyFixture, kind: str
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await wait_until(lambda: taken(bot), "work is shown")
        await bot.fault(STATUS, kind, times=2)
        await reply.finish("Done.")
    statuses = await taken(bot)
    assert (statuses[0], set(statuses[1:])) == ("processing", {"active"})
    assert len(await bot.outside.calls(STATUS)) == 4


async def test_a_status_that_slack_never_takes_does_not_hold_the_thread(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await wait_until(lambda: taken(bot), "work is shown")
        await bot.fault(STATUS, "429", times=1_000, retry_after=1)
        await reply.finish("Done.")
    assert await taken(bot) == ["processing"]
    assert 3 <= len(await bot.outside.calls(STATUS)) < 40


@pytest.mark.parametrize(
    ("code", "tried_again"),
    [
        *(("access_denied", True), ("no_permission", True), ("not_authorized", True)),
        *(("feature_disabled", False), ("unknown_method", False)),
        *(("missing_scope", False), ("not_allowed_token_type", False)),
    ],
)
async def test_only_what_concerns_the_workspace_switches_its_stop_button_off(
    bot: ReplyFixture, code: str, tried_again: bool
) -> None:
    await bot.fault(STATUS, "error", error=code)
    for _ in range(2):
        before = len(await tried(bot))

        async def tried_once_more(before: int = before) -> bool:
            return len(await tried(bot)) > before

        async with bot.workspace.open_reply(await bot.start_turn(), SEVERAL) as reply:
            await wait_until(tried_once_more, "a status is shown")
            await reply.finish("Done.")
    assert bool(await taken(bot)) is tried_again


@pytest.mark.parametrize("kind", PASSING)
async def test_the_mark_of_a_wait_goes_though_slack_fails_at_first(
    bot: ReplyFixture, kind: str
) -> None:
    turn = await bot.start_turn()
    await bot.workspace.add_waiting_reaction(turn.message)
    assert await reactions(bot, turn)
    await bot.fault(
        "reactions.remove", kind, times=2, **({"retry_after": 8} if kind == "429" else {})
    )
    await wait_until_reaction_cleared(bot, turn)
    assert not await reactions(bot, turn)


async def wait_until_reaction_cleared(bot: ReplyFixture, turn: Turn) -> None:
    """Try as `bot.turns.indicator_cleanup` does."""
    async with asyncio.timeout(20):
        while True:
            try:
                if await bot.workspace.remove_waiting_reaction(turn.message):
                    return
                pause = 1.0
            except SlackError as error:
                pause = max(1.0, error.retry_after)
            await bot.clock.sleep(pause)


@pytest.mark.parametrize("code", FOR_GOOD)
async def test_where_slack_refuses_edits_the_whole_answer_comes_in_another_message(
    bot: ReplyFixture, code: str
) -> None:
    await bot.fault("chat.update", "error", error=code, times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("one ")
        (old,) = await wait_until(lambda: bot.messages(turn), "the message is there")
        reply.append("two ")
        await wait_until(lambda: bot.outside.calls("chat.update"), "the edit is tried")
        await reply.finish("one two three")
    (new,) = await bot.messages(turn)
    assert new["text"] == "one two three"
    assert new["ts"] != old["ts"]
    assert [part.ts for part in bot.parts(turn)] == [new["ts"]]
    assert len(await bot.outside.calls("chat.postMessage")) == 2


async def test_a_message_that_may_not_be_deleted_either_does_not_lose_the_answer(
    bot: ReplyFixture,
) -> None:
    await bot.fault("chat.update", "error", error="edit_window_closed", times=1_000)
    await bot.fault("chat.delete", "error", error="cant_delete_message", times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("one ")
        await wait_until(lambda: bot.messages(turn), "the message is there")
        await reply.finish("one two three")
    assert await bot.texts(turn) == ["one ", "one two three"]


async def test_the_parts_of_an_answer_keep_their_order_where_slack_refuses_edits(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    before = "word " * 4_000
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append(before)

        async def two() -> bool:
            return len(await bot.messages(turn)) == 2

        await wait_until(two, "both messages are there")
        await bot.fault("chat.update", "error", error="edit_window_closed", times=1_000)
        await reply.finish("Other " + before)
    assert "".join(await bot.texts(turn)) == "Other " + before


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.delete"])
async def test_trouble_while_a_message_is_put_in_the_place_of_another_doubles_nothing(
    bot: ReplyFixture, method: str, kind: str
) -> None:
    await bot.fault("chat.update", "error", error="edit_window_closed", times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("one ")
        await wait_until(lambda: bot.messages(turn), "the message is there")
        await bot.fault(method, kind)
        await reply.finish("one two three")
    assert await bot.texts(turn) == ["one two three"]


async def test_killed_before_the_old_message_was_deleted_the_answer_is_shown_once(
    bot: ReplyFixture,
) -> None:
    await bot.fault("chat.update", "error", error="edit_window_closed", times=1_000)
    await bot.fault("chat.delete", "drop_before", times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("one ")
        await wait_until(lambda: bot.messages(turn), "the message is there")
        with pytest.raises(SlackError):
            await reply.finish("one two three")
    assert len(await bot.texts(turn)) == 2
    await bot.no_faults()
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), SEVERAL, bot.parts(turn)) as reply:
        await reply.finish("one two three")
    assert await bot.texts(turn) == ["one two three"]


@pytest.mark.parametrize("partial", ["", "one "], ids=["nothing", "a part"])
@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "429"])
async def test_an_end_that_slack_would_not_take_in_time_is_shown_once_by_a_later_reply(
    bot: ReplyFixture, participants: frozenset[str], partial: str, kind: str
) -> None:
    """Also if every call was carried out, its response was lost, and nothing is saved."""
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        if partial:
            reply.append(partial)
            await wait_until(lambda: bot.messages(turn), "a part is there")
        for method in ALL_CALLS:
            await bot.fault(method, kind, times=1_000)
        with pytest.raises(SlackError) as caught:
            await reply.finish("one two three")
        assert caught.value.transient
    await bot.no_faults()
    async with bot.workspace.open_reply(turn, participants, bot.parts(turn)) as reply:
        await reply.finish("one two three")
    assert await bot.texts(turn) == ["one two three"]


async def test_a_permanent_error_is_raised_at_once(bot: ReplyFixture) -> None:
    await bot.fault("chat.postMessage", "error", error="is_archived", times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        with pytest.raises(SlackError, match="is_archived") as caught:
            await reply.finish("Done.")
    assert not caught.value.transient
    assert len(await bot.outside.calls("chat.postMessage")) == 1
