"""A mention added by an edit starts no turn, and its author is notified."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.domain.messages import Message
from bot.slack import texts as slack_texts
from bot.slack.events.parser import EditedEvent
from tests.conformance.http_client import (
    ALICE,
    BOB,
    GENERAL,
    Json,
    Outside,
    emulator_over_http,
    wait_until,
)
from tests.integration.slack.gateway_fixtures import GatewayFixture, gateway_fixture


@pytest.fixture
async def bot() -> AsyncIterator[GatewayFixture]:
    async with emulator_over_http() as outside, gateway_fixture(outside) as bot:
        yield bot


async def edit(bot: GatewayFixture, ts: str, text: str, channel: str = GENERAL) -> None:
    """Edit a message of Alice; returns when the bot has received the edit."""
    before = len(edits(bot))
    await bot.outside.act("chat.update", ALICE, channel=channel, ts=ts, text=text)
    await bot.receiver.wait_until(lambda _: len(edits(bot)) > before)


def edits(bot: GatewayFixture) -> list[EditedEvent]:
    return [fact for fact in bot.receiver.events if isinstance(fact, EditedEvent)]


async def ephemeral_messages(outside: Outside) -> Json:
    """The first ephemeral message to Alice."""

    async def look() -> list[Json]:
        return await outside.ephemeral("UALICE")

    return (await wait_until(look, "an ephemeral message to Alice"))[0]


async def nothing_posted_before_a_later_one(bot: GatewayFixture) -> bool:
    """True if Alice gets no ephemeral message before that of a new edit."""
    root = await bot.outside.say(BOB, GENERAL, "a thread")
    reply = await bot.outside.say(ALICE, GENERAL, "there", thread_ts=root)
    await edit(bot, reply, "@threadpilot there")
    await ephemeral_messages(bot.outside)
    seen = await bot.outside.ephemeral("UALICE")
    return [one.get("thread_ts") for one in seen] == [root]


async def test_the_author_alone_is_notified_beside_the_message(bot: GatewayFixture) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")
    sentence = await ephemeral_messages(bot.outside)
    assert sentence["text"] == slack_texts.MENTIONED_BY_EDIT
    assert not sentence.get("thread_ts"), "Slack shows nothing in a thread that has not begun"
    assert bot.receiver.messages == []
    assert len(await bot.outside.messages(GENERAL)) == 1


async def test_in_a_thread_it_is_posted_in_the_thread(bot: GatewayFixture) -> None:
    root = await bot.outside.say(BOB, GENERAL, "shall we ask?")
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?", thread_ts=root)
    await edit(bot, ts, "@threadpilot what is Python?")
    sentence = await ephemeral_messages(bot.outside)
    assert (sentence["text"], sentence["thread_ts"]) == (slack_texts.MENTIONED_BY_EDIT, root)


async def test_an_edit_that_leaves_the_mention_there_is_not_spoken_of_again(
    bot: GatewayFixture,
) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Python?")
    await edit(bot, ts, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")

    async def both() -> list[Json]:
        seen = await bot.outside.ephemeral("UALICE")
        return seen if len(seen) >= 2 else []

    seen = await wait_until(both, "each edit that adds a mention is spoken of")
    assert [one["text"] for one in seen] == [slack_texts.MENTIONED_BY_EDIT] * 2


async def test_an_edit_of_a_mention_is_reported_by_the_core(bot: GatewayFixture) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "@threadpilot what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Python?")
    assert await nothing_posted_before_a_later_one(bot)


async def test_a_follow_up_that_is_answered_without_a_mention_needs_none(
    bot: GatewayFixture,
) -> None:
    """The core reports the result of the edit; a second text would contradict it."""
    bot.receiver.answering = True
    root = await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    ts = await bot.outside.say(ALICE, GENERAL, "and then?", thread_ts=root)
    await bot.receiver.wait_until(
        lambda receiver: {one.ts for one in receiver.messages} == {root, ts}
    )
    bot.receiver.answering = False
    await edit(bot, ts, "@threadpilot and then?")
    assert await nothing_posted_before_a_later_one(bot)


async def test_in_a_direct_message_no_mention_is_missing(bot: GatewayFixture) -> None:
    identity = await bot.gateway.identity()
    opened = await bot.outside.act("conversations.open", ALICE, users=identity.user)
    channel = opened["channel"]["id"]
    ts = await bot.outside.say(ALICE, channel, "just us")
    await edit(bot, ts, f"<@{identity.user}> just us", channel=channel)
    assert await nothing_posted_before_a_later_one(bot)


async def test_when_the_notice_fails_the_bot_goes_on(bot: GatewayFixture) -> None:
    fault = {"method": "chat.postEphemeral", "times": 1, "kind": "500"}
    await bot.outside.control("faults", fault)
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")
    await bot.outside.say(ALICE, GENERAL, "@threadpilot still there?")
    await bot.receiver.wait_until(lambda receiver: bool(receiver.messages))
    assert [fact.text for fact in bot.receiver.events if isinstance(fact, Message)] == [
        "still there?"
    ]
