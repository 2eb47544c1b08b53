"""Slack shows the model's answer: streamed to one user, edited for several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.turns import Delivery
from bot.errors import SlackError
from bot.slack.formatting.sanitize import escape_mentions, sanitize
from tests.conformance.http_client import ALICE, GENERAL, wait_until
from tests.fakes import ManualClock
from tests.integration.slack.replies.reply_fixtures import ONE, SEVERAL, ReplyFixture, reply_fixture


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


async def test_an_answer_is_streamed_into_one_message(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Hel")
        await wait_until(lambda: bot.texts(turn), "the first text goes out at once")
        for piece in ("lo, ", "Alice", "!"):
            reply.append(piece)
        await reply.finish("Hello, Alice!")
        assert await bot.texts(turn) == ["Hello, Alice!"]
    methods = await bot.methods()
    assert methods.count("chat.startStream") == methods.count("chat.stopStream") == 1
    assert "chat.update" not in methods
    assert "chat.postMessage" not in methods
    start = (await bot.outside.calls("chat.startStream"))[0]["arguments"]
    assert start["recipient_user_id"] == "UALICE"
    assert start["recipient_team_id"] == "T0SANDBOX"
    assert start["thread_ts"] == turn.message.ts


async def test_every_message_of_a_reply_says_whose_it_is(bot: ReplyFixture) -> None:
    for participants in (ONE, SEVERAL):
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, participants) as reply:
            reply.append("Yes")
            await wait_until(lambda turn=turn: bot.texts(turn), "the text is there")  # type: ignore[misc]  # a default binds the loop's turn
            await reply.finish("Yes.")
        (message,) = await bot.messages(turn)
        assert message["metadata"] == {
            "event_type": "threadpilot_turn",
            "event_payload": {"turn": turn.id, "part": 0},
        }
        (part,) = bot.parts(turn)
        assert part.ts == message["ts"]


async def test_a_part_is_noted_as_open_while_its_stream_is(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Begun")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        (part,) = bot.parts(turn)
        assert (part.delivery, part.closed) == (Delivery.STREAM, False)
        await reply.finish("Begun.")


async def test_several_users_get_edits_of_one_message(
    bot: ReplyFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("For ")
        await wait_until(lambda: bot.texts(turn), "the first text goes out at once")
        reply.append("all of you")
        await reply.finish("For all of you.")
        assert await bot.texts(turn) == ["For all of you."]
    methods = await bot.methods()
    assert "chat.startStream" not in methods
    assert methods.count("chat.postMessage") == 1
    post = (await bot.outside.calls("chat.postMessage"))[0]["arguments"]
    assert post["unfurl_links"] is False
    assert post["unfurl_media"] is False
    assert "delivery=edits" in caplog.text


async def test_a_direct_message_is_streamed_for_any_participants(
    bot: ReplyFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    opened = await bot.outside.act("conversations.open", ALICE, users="U0PILOT")
    turn = await bot.start_turn(channel=opened["channel"]["id"])
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Between us")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await reply.finish("Between us.")
    assert "chat.startStream" in await bot.methods()
    assert "delivery=stream" in caplog.text


async def test_an_answer_that_comes_whole_is_posted(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish("", "There is no question.")
    assert await bot.texts(turn) == ["_There is no question._"]


async def test_a_note_comes_after_the_answer_set_apart(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Half an")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await reply.finish("Half an ans", "Stopped.")
    assert await bot.texts(turn) == ["Half an ans\n\n_Stopped._"]


@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_a_long_answer_goes_on_in_new_messages(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    text = "\n".join(f"Line {number:05} of a long answer." for number in range(1_000))
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        for start in range(0, len(text), 3_000):
            reply.append(text[start : start + 3_000])
            await asyncio.sleep(0)
        await reply.finish(text)
        shown = await bot.texts(turn)
    assert len(shown) == 3
    assert "".join(shown) == text
    assert max(len(part) for part in shown) < 12_000


async def test_a_code_block_that_goes_on_is_closed_and_opened_again(bot: ReplyFixture) -> None:
    code = "".join(f"print({number})\n" for number in range(2_000))
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append(f"```py\n{code[:500]}")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        reply.append(code[500:])
        await reply.finish(f"```py\n{code}")
    shown = await bot.texts(turn)
    assert len(shown) == 3
    assert all(part.startswith("```py\n") and part.endswith("\n```") for part in shown)


async def test_a_stream_is_ended_before_slack_ends_it_even_without_new_text() -> None:
    clock = ManualClock()
    async with reply_fixture(clock) as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, ONE) as reply:
            reply.append("Before. ")
            await wait_until(lambda: bot.texts(turn), "the stream is there")
            await clock.advance(239)
            assert await bot.outside.calls("chat.stopStream") == []
            await clock.advance(1)
            await wait_until(lambda: bot.outside.calls("chat.stopStream"), "the stream is left")
            await bot.outside.advance(400)
            await clock.advance(400)
            reply.append("After.")

            async def both() -> bool:
                await clock.advance(1)
                return len(await bot.texts(turn)) == 2

            await wait_until(both, "a new stream is begun")
            await reply.finish("Before. After.")
        assert await bot.texts(turn) == ["Before. ", "After."]
        assert "chat.update" not in await bot.methods()


async def test_a_stream_that_slack_ended_is_completed_by_an_edit(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Before. ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await bot.outside.advance(301)
        reply.append("After.")
        await reply.finish("Before. After.")
    assert await bot.texts(turn) == ["Before. After."]


@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_replaced_text_gives_way_to_the_final_text(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append("A first try " * 1_500)

        async def begun() -> bool:
            return len(await bot.texts(turn)) == 2

        await wait_until(begun, "both parts are there")
        reply.replace("")
        reply.append("A second try")

        async def replaced() -> bool:
            return await bot.texts(turn) == ["A second try"]

        await wait_until(replaced, "the thread shows the new text only")
        reply.append(".")
        await reply.finish("A second try.")
    assert await bot.texts(turn) == ["A second try."]


async def test_the_end_corrects_what_was_shown_on_the_way(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("What was said")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await reply.finish("What counts")
    assert await bot.texts(turn) == ["What counts"]


async def test_nothing_is_added_after_the_end(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish("The end.")
        reply.append(" Or not.")
        reply.replace("Something else")
    assert await bot.texts(turn) == ["The end."]


async def test_a_turn_that_leaves_without_an_end_leaves_no_stream_open(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Half a")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
    assert await bot.texts(turn) == ["Half a"]
    assert len(await bot.outside.calls("chat.stopStream")) == 1
    assert bot.parts(turn)[0].closed


async def test_a_turn_that_says_nothing_leaves_nothing(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE):
        pass
    assert await bot.texts(turn) == []


async def test_two_replies_at_once_do_not_mix(bot: ReplyFixture) -> None:
    turns = [await bot.start_turn() for _ in range(4)]

    async def answer(number: int) -> None:
        text = ""
        participants = ONE if number % 2 else SEVERAL
        async with bot.workspace.open_reply(turns[number], participants) as reply:
            for count in range(30):
                text += f"{number}:{count} "
                reply.append(f"{number}:{count} ")
                await asyncio.sleep(0.01)
            await reply.finish(text)

    await asyncio.gather(*(answer(number) for number in range(4)))
    for number, turn in enumerate(turns):
        assert await bot.texts(turn) == ["".join(f"{number}:{count} " for count in range(30))]


async def test_a_ping_split_over_two_appends_stays_inert(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Hey <!chan")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        reply.append("nel> and <@UAL")
        await asyncio.sleep(0.05)
        reply.append("ICE> and @he")
        await asyncio.sleep(0.05)
        reply.append("re")
        await reply.finish("Hey <!channel> and <@UALICE> and @here")
    assert await bot.texts(turn) == ["Hey <\u2060!channel> and <\u2060@UALICE> and @\u2060here"]


pieces = st.lists(
    st.one_of(
        st.sampled_from(["```\n", "\n\n", "<!channel>", "<@", "@here", "word " * 900, "\0"]),
        st.text(max_size=20),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks=pieces, participants=st.sampled_from([ONE, SEVERAL]), gaps=st.lists(st.booleans()))
async def test_slack_shows_the_text_of_the_model(
    chunks: list[str], participants: frozenset[str], gaps: list[bool]
) -> None:
    whole = "".join(chunks)
    async with reply_fixture() as bot:
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, participants) as reply:
            for number, piece in enumerate(chunks):
                reply.append(piece)
                if number < len(gaps) and gaps[number]:
                    await asyncio.sleep(0.02)
            await reply.finish(whole, "The end.")
        shown = "".join(await bot.texts(turn))
    wanted = escape_mentions(sanitize(whole))
    bare = shown.removesuffix("_The end._").replace("```", "").split()
    assert bare == wanted.replace("```", "").split()
    assert shown.endswith("_The end._")


# Around the reply -------------------------------------------------------------------------------


async def test_the_thread_shows_that_the_bot_works_and_then_no_more(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await wait_until(lambda: bot.outside.calls("agents.sessions.setStatus"), "it shows")
        await reply.finish("Done.")
    calls = await bot.outside.calls("agents.sessions.setStatus")
    assert [call["arguments"]["status"] for call in calls] == ["processing", "active"]
    assert {call["arguments"]["thread_ts"] for call in calls} == {turn.message.ts}


async def test_without_agent_sessions_the_status_is_shown_in_words(bot: ReplyFixture) -> None:
    await bot.fault("agents.sessions.setStatus", "error", error="feature_disabled", times=9)
    for _ in range(2):
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, ONE) as reply:
            await wait_until(lambda: bot.outside.calls("assistant.threads.setStatus"), "words")
            await reply.finish("Done.")
    calls = await bot.outside.calls("assistant.threads.setStatus")
    words = [call["arguments"]["status"] for call in calls]
    assert words[0] == "is thinking…"
    assert words[-1] == ""
    assert len(await bot.outside.calls("agents.sessions.setStatus")) == 1


async def test_a_status_that_is_slow_does_not_delay_the_first_text(bot: ReplyFixture) -> None:
    await bot.fault("agents.sessions.setStatus", "slow", seconds=2)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Here")
        await wait_until(lambda: bot.texts(turn), "the text is there", max_wait=1.5)
        await reply.finish("Here.")
        assert await bot.texts(turn) == ["Here."]


async def test_who_takes_part_is_read_from_the_thread(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    thread = turn.message.thread
    await bot.outside.say("xoxp-bob", GENERAL, "me too", thread_ts=thread.root_ts)
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await reply.finish("Both of you.")
    assert await bot.workspace.fetch_participants(thread) == SEVERAL


async def test_who_takes_part_is_not_guessed_when_slack_does_not_say(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    await bot.fault("conversations.replies", "500")
    with pytest.raises(SlackError):
        await bot.workspace.fetch_participants(turn.message.thread)


async def test_a_message_that_waits_says_so_until_it_does_not(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    for _ in range(2):
        await bot.workspace.add_waiting_reaction(turn.message)
    (message,) = await bot.outside.replies(GENERAL, turn.message.ts)
    assert [reaction["name"] for reaction in message["reactions"]] == ["hourglass_flowing_sand"]
    assert await bot.workspace.remove_waiting_reaction(turn.message)
    (message,) = await bot.outside.replies(GENERAL, turn.message.ts)
    assert not message.get("reactions")


async def test_an_ephemeral_message_reaches_its_person_alone_and_trouble_with_it_stays_quiet(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    assert await bot.workspace.post_notice(turn.message, "Not now, <!channel>.")
    await bot.fault("chat.postEphemeral", "500")
    await bot.workspace.post_notice(turn.message, "Not now, again.")
    await bot.fault("chat.postEphemeral", "429", retry_after=30)
    assert not await bot.workspace.post_notice(turn.message, "Not now, once more.")
    (ephemeral,) = await bot.outside.ephemeral("UALICE")
    assert "Not now, <\u2060!channel>." in ephemeral["text"]
    assert await bot.texts(turn) == []
