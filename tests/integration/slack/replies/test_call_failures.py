"""If any call to Slack fails, the thread still shows the whole answer once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.turns import Turn
from bot.errors import SlackError
from tests.conformance.http_client import ALICE, BOT, GENERAL, wait_until
from tests.fakes import ManualClock
from tests.integration.slack.replies.reply_fixtures import (
    ONE,
    SEVERAL,
    ReplyFixture,
    reply_fixture,
    rerun_of,
)

WORDS = ["One ", "two ", "three ", "four."]
WHOLE = "".join(WORDS)

STREAM_CALLS = ["chat.startStream", "chat.appendStream", "chat.stopStream"]
POST_CALLS = ["chat.postMessage", "chat.update"]
BREAKING = ["drop_before", "drop_after", "500", "garbage", "429"]


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


async def send_in_pieces(bot: ReplyFixture, participants: frozenset[str]) -> list[str]:
    """Send an answer in pieces, with time for each. Returns what the thread shows then."""
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        for word in WORDS:
            reply.append(word)
            await asyncio.sleep(0.04)
        await reply.finish(WHOLE)
        shown = await bot.texts(turn)
        states = [message.get("streaming_state") for message in await bot.messages(turn)]
    assert "in_progress" not in states
    return shown


@pytest.mark.parametrize(
    "code",
    [
        *("feature_disabled", "unknown_method", "not_authorized", "missing_recipient_user_id"),
        *("missing_recipient_team_id", "invalid_chunks", "internal_error", "ratelimited"),
    ],
)
async def test_where_streaming_is_refused_the_answer_comes_by_edits(
    bot: ReplyFixture, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await bot.fault("chat.startStream", "error", error=code, times=5)
    assert await send_in_pieces(bot, ONE) == [WHOLE]
    assert len(await bot.outside.calls("chat.startStream")) == 1
    assert "delivery=edits" in caplog.text


@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream"])
@pytest.mark.parametrize(
    "code",
    [
        *("message_not_in_streaming_state", "streaming_state_conflict", "streaming_mode_mismatch"),
        *("msg_too_long", "unknown_method", "not_authorized", "invalid_chunks", "fatal_error"),
        "stopped_by_user",
    ],
)
async def test_a_stream_that_breaks_is_completed_by_edits(
    bot: ReplyFixture, method: str, code: str
) -> None:
    await bot.fault(method, "error", error=code)
    assert await send_in_pieces(bot, ONE) == [WHOLE]


@pytest.mark.parametrize("kind", BREAKING)
@pytest.mark.parametrize("method", STREAM_CALLS)
async def test_a_broken_call_of_a_stream_neither_loses_nor_doubles_anything(
    bot: ReplyFixture, method: str, kind: str
) -> None:
    await bot.fault(method, kind)
    assert await send_in_pieces(bot, ONE) == [WHOLE]


@pytest.mark.parametrize("kind", BREAKING)
@pytest.mark.parametrize("method", POST_CALLS)
async def test_a_broken_call_of_a_post_neither_loses_nor_doubles_anything(
    bot: ReplyFixture, method: str, kind: str
) -> None:
    await bot.fault(method, kind, times=2)
    assert await send_in_pieces(bot, SEVERAL) == [WHOLE]


async def test_a_post_is_not_repeated_while_its_outcome_is_unknown(
    bot: ReplyFixture,
) -> None:
    await bot.fault("chat.postMessage", "drop_after")
    await bot.fault("conversations.replies", "500", times=2)
    assert await send_in_pieces(bot, SEVERAL) == [WHOLE]
    assert len(await bot.outside.calls("chat.postMessage")) == 1


async def test_a_stream_of_unknown_outcome_is_found_and_completed(bot: ReplyFixture) -> None:
    await bot.fault("chat.startStream", "drop_after")
    assert await send_in_pieces(bot, ONE) == [WHOLE]
    assert await bot.outside.calls("chat.postMessage") == []


async def test_one_bad_moment_of_everything_is_survived(bot: ReplyFixture) -> None:
    for kind in ("drop_before", "500", "429"):
        await bot.fault("*", kind, times=2)
    assert await send_in_pieces(bot, ONE) == [WHOLE]


async def test_a_long_wait_for_slack_keeps_the_order(bot: ReplyFixture) -> None:
    await bot.fault("chat.appendStream", "429", retry_after=3)
    assert await send_in_pieces(bot, ONE) == [WHOLE]
    assert "chat.update" not in await bot.methods()


@pytest.mark.parametrize(
    ("participants", "method"), [(ONE, "chat.appendStream"), (SEVERAL, "chat.update")]
)
async def test_text_that_comes_during_a_call_is_not_lost(
    bot: ReplyFixture, participants: frozenset[str], method: str
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append("One ")
        await wait_until(lambda: bot.texts(turn), "the message is there")
        await bot.fault(method, "slow", seconds=0.3)
        reply.append("two ")

        async def on_its_way() -> bool:
            async with bot.outside.http.get(f"{bot.outside.url}/sandbox/faults") as answer:
                return "slow" not in await answer.text()

        await wait_until(on_its_way, "the call is on its way")
        reply.append("three ")
        await reply.finish(WHOLE)
    assert await bot.texts(turn) == [WHOLE]


async def test_a_message_that_a_user_deleted_is_posted_again(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("One ")
        (message,) = await wait_until(lambda: bot.messages(turn), "the message is there")
        await bot.outside.act("chat.delete", ALICE, channel=GENERAL, ts=message["ts"])
        await reply.finish(WHOLE)
    assert await bot.texts(turn) == [WHOLE]


async def test_what_a_person_stopped_stays_and_is_not_posted_again(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("One ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        await bot.outside.act(
            "agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=turn.message.ts
        )
        reply.append("two ")
        await wait_until(lambda: bot.outside.calls("chat.appendStream"), "the stream is tried")
        reply.append("three ")
        await asyncio.sleep(0.1)
        assert await bot.texts(turn) == ["One "]
        await reply.finish("One two ", "Stopped.")
    assert await bot.texts(turn) == ["One two \n\n_Stopped._"]
    assert await bot.outside.calls("chat.postMessage") == []


@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_the_turn_gets_an_error_if_slack_refuses_everything(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    for method in ("chat.startStream", "chat.postMessage"):
        await bot.fault(method, "error", error="is_archived", times=1_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append("One ")
        with pytest.raises(SlackError, match="is_archived"):
            await reply.finish(WHOLE)
    assert await bot.texts(turn) == []


async def test_the_turn_gets_an_error_if_slack_is_unreachable(bot: ReplyFixture) -> None:
    await bot.fault("*", "drop_before", times=10_000)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("One ")
        with pytest.raises(SlackError, match="unreachable"):
            await reply.finish(WHOLE)


async def test_more_streams_than_slack_allows_in_a_minute_become_edits() -> None:
    """All of them in one minute of the bot's clock, however long that takes here."""
    async with reply_fixture(ManualClock()) as bot:
        for _ in range(20):
            turn = await bot.start_turn()
            async with bot.workspace.open_reply(turn, ONE) as reply:
                reply.append("One ")
                await wait_until(lambda turn=turn: bot.texts(turn), "it is there")  # type: ignore[misc]  # a default binds the loop's turn
                await reply.finish(WHOLE)
            assert await bot.texts(turn) == [WHOLE]
        streams = await bot.outside.calls("chat.startStream")
        assert [stream for stream in streams if stream["status"] == 429] == []
        assert 0 < len(streams) < 20


@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_a_text_that_slack_finds_too_long_comes_in_smaller_messages(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    text = "A sentence of some length. " * 300
    for method in ("chat.appendStream", "chat.stopStream", "chat.postMessage"):
        await bot.fault(method, "error", error="msg_too_long")
    await bot.fault("chat.update", "error", error="msg_too_long")
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append(text[:200])
        await asyncio.sleep(0.05)
        await reply.finish(text)
    shown = await bot.texts(turn)
    assert "".join(shown) == text
    assert len(shown) > 1


async def test_a_text_that_slack_will_not_have_as_markdown_comes_as_it_was_typed(
    bot: ReplyFixture,
) -> None:
    await bot.fault("chat.postMessage", "error", error="invalid_blocks", times=5)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await reply.finish("| a | b |\n<!here> & there")
    assert await bot.texts(turn) == ["| a | b |\n&lt;\u2060!here&gt; &amp; there"]


async def test_the_thread_shows_work_again_after_a_stream_was_left(bot: ReplyFixture) -> None:
    """A stream that stops sets the session's status to active."""
    await bot.fault("chat.appendStream", "error", error="msg_too_long")
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await wait_until(lambda: bot.outside.calls("agents.sessions.setStatus"), "it shows work")
        reply.append("One ")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
        reply.append("two ")
        await wait_until(lambda: bot.outside.calls("chat.update"), "it goes on by edits")

        async def shows_work_again() -> bool:
            calls = await bot.outside.calls("agents.sessions.setStatus")
            return [call["arguments"]["status"] for call in calls] == ["processing"] * 2

        await wait_until(shows_work_again, "the thread shows work again")
        await reply.finish("One two.")


# After a restart --------------------------------------------------------------------------------


async def die_with(
    bot: ReplyFixture, turn: Turn, participants: frozenset[str], text: str, messages: int = 1
) -> None:
    """Send a reply's messages and then die: the network is cut before anything is closed."""
    entered = bot.workspace.open_reply(turn, participants)
    reply = await entered.__aenter__()
    reply.append(text)

    async def out() -> bool:
        return len(await bot.messages(turn)) == messages

    await wait_until(out, "the messages are out")
    await bot.fault("*", "drop_before", times=10_000)
    await entered.__aexit__(None, None, None)
    await bot.no_faults()


@pytest.mark.parametrize("saved", [True, False], ids=["saved", "unnoted"])
@pytest.mark.parametrize("participants", [ONE, SEVERAL], ids=["stream", "edits"])
async def test_an_interrupted_reply_is_adopted_and_shown_once(
    bot: ReplyFixture, participants: frozenset[str], saved: bool
) -> None:
    """The process dies after a message was posted, before or after it was saved."""
    turn = await bot.start_turn()
    await die_with(bot, turn, participants, "Half an answ")
    parts = bot.parts(turn) if saved else ()
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), participants, parts) as reply:
        await reply.finish("Half an answer, and the rest.")
    assert await bot.texts(turn) == ["Half an answer, and the rest."]


@pytest.mark.parametrize("saved", [True, False], ids=["saved", "unnoted"])
async def test_a_stream_that_a_user_stopped_while_the_bot_was_away_is_adopted(
    bot: ReplyFixture, saved: bool
) -> None:
    """The process dies as the stream begins, and a user presses Stop before the restart."""
    turn = await bot.start_turn()
    await die_with(bot, turn, ONE, "Half an answ")
    thread = turn.message.thread
    await bot.outside.act(
        "agents.sessions.stop", ALICE, channel=thread.channel, thread_ts=thread.root_ts
    )
    parts = bot.parts(turn) if saved else ()
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), ONE, parts) as reply:
        await reply.finish("Half an answ", "I was restarted.")
    assert await bot.texts(turn) == ["Half an answ\n\n_I was restarted._"]


async def test_messages_that_the_answer_no_longer_needs_are_taken_away(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    await die_with(bot, turn, ONE, "word " * 4_000, messages=2)
    parts = bot.parts(turn)
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), ONE, parts) as reply:
        await reply.finish("", "The answer is lost.")
    assert await bot.texts(turn) == ["_The answer is lost._"]


async def test_a_turn_that_runs_again_after_a_restart_edits_its_old_messages(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    await die_with(bot, turn, ONE, "Half an answ")
    parts = bot.parts(turn)
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), ONE, parts) as reply:
        for word in WORDS:
            reply.append(word)
            await asyncio.sleep(0.04)
        await reply.finish(WHOLE)
    assert await bot.texts(turn) == [WHOLE]


async def test_the_reply_of_another_turn_in_the_thread_is_left_alone(bot: ReplyFixture) -> None:
    first = await bot.start_turn()
    async with bot.workspace.open_reply(first, ONE) as reply:
        reply.append("The first")
        await wait_until(lambda: bot.texts(first), "the stream is there")
        await reply.finish("The first answer.")
    ts = await bot.outside.say(ALICE, GENERAL, "and?", thread_ts=first.message.ts)
    message = replace(first.message, ts=ts, event_id="EvSecond")
    second = replace(first, id=first.id + 1_000, message=message, epoch=2)
    async with bot.workspace.open_reply(second, ONE) as reply:
        await reply.finish("The second answer.")
    assert await bot.texts(first) == ["The first answer.", "The second answer."]


async def test_a_question_that_the_bot_posted_for_a_user_is_left_alone(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    question = await bot.outside.act(
        "chat.postMessage", BOT, channel=GENERAL, thread_ts=turn.message.ts, text="Bob asks: why?"
    )
    async with bot.workspace.open_reply(rerun_of(turn), ONE) as reply:
        await reply.finish("An answer.")
    shown = await bot.messages(turn)
    assert [message["text"] for message in shown] == ["Bob asks: why?", "An answer."]
    assert shown[0]["ts"] == question["ts"]


kinds = st.sampled_from(["drop_before", "drop_after", "500", "garbage", "429"])
methods = st.sampled_from([*STREAM_CALLS, *POST_CALLS, "conversations.replies", "auth.test", "*"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(st.tuples(methods, kinds), max_size=4),
    participants=st.sampled_from([ONE, SEVERAL]),
    long=st.booleans(),
)
async def test_the_answer_is_shown_once_after_any_failures(
    faults: list[tuple[str, str]], participants: frozenset[str], long: bool
) -> None:
    words = [f"{number} " * (800 if long else 1) for number in range(6)]
    async with reply_fixture() as bot:
        for method, kind in faults:
            await bot.fault(method, kind)
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, participants) as reply:
            for word in words:
                reply.append(word)
                await asyncio.sleep(0.02)
            await reply.finish("".join(words))
        shown = await bot.texts(turn)
    assert "".join(shown) == "".join(words)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    last=st.sampled_from([*STREAM_CALLS, *POST_CALLS]),
    after=st.integers(0, 3),
    participants=st.sampled_from([ONE, SEVERAL]),
)
async def test_wherever_the_bot_was_killed_the_answer_is_shown_once_after_a_restart(
    last: str, after: int, participants: frozenset[str]
) -> None:
    """Slack carries out the bot's last call, and the response never arrives."""
    async with reply_fixture() as bot:
        turn = await bot.start_turn()
        entered = bot.workspace.open_reply(turn, participants)
        reply = await entered.__aenter__()
        for number, word in enumerate(WORDS):
            if number == after:
                await bot.fault(last, "drop_after")
                await bot.fault("*", "drop_before", times=10_000)
            reply.append(word)
            await asyncio.sleep(0.03)
        await entered.__aexit__(None, None, None)
        await bot.no_faults()
        bot.restart()
        async with bot.workspace.open_reply(rerun_of(turn), participants, bot.parts(turn)) as reply:
            await reply.finish(WHOLE)
        shown = await bot.texts(turn)
    assert shown == [WHOLE]
