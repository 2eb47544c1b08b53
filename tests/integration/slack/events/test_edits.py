"""A mention that is added by an edit starts nothing, and its author is told so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.domain.messages import Message
from bot.slack import texts as slack_texts
from bot.slack.events.parser import Edited
from tests.conformance.http_client import (
    ALICE,
    BOB,
    GENERAL,
    Json,
    Outside,
    eventually,
    sandbox_from_outside,
)
from tests.integration.slack.gateway_fixtures import Hearing, hearing


@pytest.fixture
async def bot() -> AsyncIterator[Hearing]:
    async with sandbox_from_outside() as outside, hearing(outside) as bot:
        yield bot


async def edit(bot: Hearing, ts: str, text: str, channel: str = GENERAL) -> None:
    """Alice changes her message; returns when the bot has heard of it."""
    before = len(edits(bot))
    await bot.outside.do("chat.update", ALICE, channel=channel, ts=ts, text=text)
    await bot.ears.until(lambda _: len(edits(bot)) > before)


def edits(bot: Hearing) -> list[Edited]:
    return [fact for fact in bot.ears.heard if isinstance(fact, Edited)]


async def told(outside: Outside) -> Json:
    """What Alice alone was told first."""

    async def look() -> list[Json]:
        return await outside.ephemeral("UALICE")

    return (await eventually(look, "Alice is told something"))[0]


async def told_nothing_until_a_later_one(bot: Hearing) -> bool:
    """Whether all that Alice is told is about an edit that is made only now."""
    root = await bot.outside.say(BOB, GENERAL, "a thread")
    reply = await bot.outside.say(ALICE, GENERAL, "there", thread_ts=root)
    await edit(bot, reply, "@threadpilot there")
    await told(bot.outside)
    seen = await bot.outside.ephemeral("UALICE")
    return [one.get("thread_ts") for one in seen] == [root]


async def test_the_author_is_told_alone_where_the_message_stands(bot: Hearing) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")
    sentence = await told(bot.outside)
    assert sentence["text"] == slack_texts.MENTIONED_BY_EDIT
    assert not sentence.get("thread_ts"), "Slack shows nothing in a thread that has not begun"
    assert bot.ears.messages == []
    assert len(await bot.outside.messages(GENERAL)) == 1


async def test_in_a_thread_it_is_told_in_the_thread(bot: Hearing) -> None:
    root = await bot.outside.say(BOB, GENERAL, "shall we ask?")
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?", thread_ts=root)
    await edit(bot, ts, "@threadpilot what is Python?")
    sentence = await told(bot.outside)
    assert (sentence["text"], sentence["thread_ts"]) == (slack_texts.MENTIONED_BY_EDIT, root)


async def test_an_edit_that_leaves_the_mention_there_is_not_spoken_of_again(bot: Hearing) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Python?")
    await edit(bot, ts, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")

    async def both() -> list[Json]:
        seen = await bot.outside.ephemeral("UALICE")
        return seen if len(seen) >= 2 else []

    seen = await eventually(both, "each edit that adds a mention is spoken of")
    assert [one["text"] for one in seen] == [slack_texts.MENTIONED_BY_EDIT] * 2


async def test_an_edit_of_a_mention_is_the_storys_to_speak_of(bot: Hearing) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "@threadpilot what is Pyton?")
    await edit(bot, ts, "@threadpilot what is Python?")
    assert await told_nothing_until_a_later_one(bot)


async def test_a_follow_up_that_is_answered_without_a_mention_needs_none(bot: Hearing) -> None:
    """The story says what becomes of the edit; a second sentence would contradict it."""
    bot.ears.answering = True
    root = await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    ts = await bot.outside.say(ALICE, GENERAL, "and then?", thread_ts=root)
    await bot.ears.until(lambda ears: {one.ts for one in ears.messages} == {root, ts})
    bot.ears.answering = False
    await edit(bot, ts, "@threadpilot and then?")
    assert await told_nothing_until_a_later_one(bot)


async def test_in_a_direct_message_no_mention_is_missing(bot: Hearing) -> None:
    us = await bot.gateway.identity()
    opened = await bot.outside.do("conversations.open", ALICE, users=us.user)
    channel = opened["channel"]["id"]
    ts = await bot.outside.say(ALICE, channel, "just us")
    await edit(bot, ts, f"<@{us.user}> just us", channel=channel)
    assert await told_nothing_until_a_later_one(bot)


async def test_when_slack_does_not_take_the_sentence_the_bot_goes_on(bot: Hearing) -> None:
    fault = {"method": "chat.postEphemeral", "times": 1, "kind": "500"}
    await bot.outside.control("faults", fault)
    ts = await bot.outside.say(ALICE, GENERAL, "what is Python?")
    await edit(bot, ts, "@threadpilot what is Python?")
    await bot.outside.say(ALICE, GENERAL, "@threadpilot still there?")
    await bot.ears.until(lambda ears: bool(ears.messages))
    assert [fact.text for fact in bot.ears.heard if isinstance(fact, Message)] == ["still there?"]
