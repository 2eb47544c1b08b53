"""After any failure of a stream, text that Slack has confirmed is not sent a second time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.turns import Turn
from tests.conformance.http_client import ALICE, GENERAL, Json, wait_until
from tests.integration.slack.replies.reply_fixtures import ONE, ReplyFixture, reply_fixture

WORDS = ["One ", "two ", "three ", "four ", "five."]
WHOLE = "".join(WORDS)

LEFT = [
    *("message_not_in_streaming_state", "streaming_state_conflict", "streaming_mode_mismatch"),
    *("msg_too_long", "stopped_by_user"),
]
"""Slack's error codes for a stream that accepts no more text."""


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


def text_of(call: Json) -> str:
    """The text that a call adds to a stream."""
    return "".join(chunk["text"] for chunk in call["arguments"].get("chunks") or [])


async def streamed(bot: ReplyFixture) -> list[Json]:
    """The calls that write to a stream, in order."""
    calls = await bot.outside.control("calls")
    of_streams = ("chat.startStream", "chat.appendStream", "chat.stopStream")
    return [call for call in calls if call["method"] in of_streams]


async def check_that_nothing_confirmed_is_sent_again(bot: ReplyFixture) -> str:
    """Each call continues after the last confirmed one; all text is confirmed."""
    confirmed = ""
    for call in await streamed(bot):
        assert WHOLE.startswith(confirmed + text_of(call)), call
        if (call["answer"] or {}).get("ok") and call["fault"] is None:
            confirmed += text_of(call)
    return confirmed


async def answer(bot: ReplyFixture) -> list[str]:
    """Send an answer word by word, with time for each. Returns what the thread shows then."""
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        for word in WORDS:
            reply.append(word)
            await asyncio.sleep(0.04)
        await reply.finish(WHOLE)
    return await bot.texts(turn)


async def test_a_stream_without_trouble_says_everything_once(bot: ReplyFixture) -> None:
    assert await answer(bot) == [WHOLE]
    assert await check_that_nothing_confirmed_is_sent_again(bot) == WHOLE
    assert await bot.outside.calls("chat.update") == []


@pytest.mark.parametrize("code", LEFT)
async def test_a_stream_that_takes_no_more_text_keeps_what_it_has_and_gets_the_rest_by_an_edit(
    bot: ReplyFixture, code: str
) -> None:
    await bot.fault("chat.appendStream", "error", error=code)
    assert await answer(bot) == [WHOLE]
    confirmed = await check_that_nothing_confirmed_is_sent_again(bot)
    calls = await streamed(bot)
    broken = next(n for n, call in enumerate(calls) if not call["answer"]["ok"])
    assert confirmed == "".join(text_of(call) for call in calls[:broken]) != ""
    assert [text_of(call) for call in calls[broken + 1 :]] == [""], "it is ended, with nothing more"
    assert await bot.outside.calls("chat.postMessage") == []
    assert len(await bot.outside.calls("chat.startStream")) == 1


@pytest.mark.parametrize("code", LEFT)
async def test_a_stream_that_cannot_be_ended_with_its_last_words_gets_them_by_an_edit(
    bot: ReplyFixture, code: str
) -> None:
    await bot.fault("chat.stopStream", "error", error=code)
    assert await answer(bot) == [WHOLE]
    await check_that_nothing_confirmed_is_sent_again(bot)
    assert len(await bot.outside.calls("chat.update")) == 1
    assert await bot.outside.calls("chat.postMessage") == []


async def test_a_stream_that_slack_ends_by_its_age_is_completed_in_place(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("One two ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await bot.outside.advance(301)
        reply.append("three ")
        await wait_until(lambda: bot.outside.calls("chat.update"), "it goes on by edits")
        await reply.finish(WHOLE)
    assert await bot.texts(turn) == [WHOLE]
    assert await check_that_nothing_confirmed_is_sent_again(bot) == "One two "
    refused = [c["answer"]["error"] for c in await streamed(bot) if not c["answer"]["ok"]]
    assert set(refused) == {"message_not_in_streaming_state"}


async def test_a_stream_that_a_person_stopped_is_left_as_it_is_until_the_end(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("One two ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await bot.outside.act(
            "agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=turn.message.ts
        )
        reply.append("three ")
        await wait_until(lambda: bot.outside.calls("chat.appendStream"), "the stream is tried")
        await reply.finish("One two three ", "Stopped.")
    assert await bot.texts(turn) == ["One two three \n\n_Stopped._"]
    assert await check_that_nothing_confirmed_is_sent_again(bot) == "One two "
    assert await bot.outside.calls("chat.postMessage") == []


async def test_a_live_stream_that_must_be_edited_is_ended_first(bot: ReplyFixture) -> None:
    """Slack answers `streaming_state_conflict`: the stream could not be stopped when it failed."""
    await bot.fault("chat.appendStream", "500")
    await bot.fault("chat.stopStream", "500")
    assert await answer(bot) == [WHOLE]
    edits = await bot.outside.calls("chat.update")
    assert edits[0]["answer"]["error"] == "streaming_state_conflict"
    assert [call["answer"]["ok"] for call in edits[1:]] == [True] * (len(edits) - 1)
    confirmed = await check_that_nothing_confirmed_is_sent_again(bot)
    assert WHOLE.startswith(confirmed)


@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream"])
async def test_a_stream_that_has_to_wait_goes_on_where_it_was(
    bot: ReplyFixture, method: str
) -> None:
    await bot.fault(method, "429", times=2, retry_after=2)
    assert await answer(bot) == [WHOLE]
    assert await check_that_nothing_confirmed_is_sent_again(bot) == WHOLE
    assert await bot.outside.calls("chat.update") == []
    assert len(await bot.outside.calls("chat.startStream")) == 1


async def test_an_answer_that_goes_on_after_stop_is_shown_on(bot: ReplyFixture) -> None:
    """Slack stops the stream for any user who presses Stop, even for one who may not stop the
    answer. A while later it continues by edits, before its end is known."""
    turn = await bot.start_turn()
    thread = turn.message.thread
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("One ")
        await wait_until(lambda: shows(bot, turn, "One "), "it has begun")
        stop = {"channel": thread.channel, "thread_ts": thread.root_ts}
        await bot.outside.act("agents.sessions.stop", ALICE, **stop)
        reply.append("two ")
        await wait_until(lambda: shows(bot, turn, "One two "), "it goes on")
        await reply.finish("One two three.")
    assert await bot.texts(turn) == ["One two three."]
    assert len(await bot.outside.calls("chat.startStream")) == 1


async def shows(bot: ReplyFixture, turn: Turn, text: str) -> bool:
    return any(shown.startswith(text.strip()) for shown in await bot.texts(turn))
