"""Actions are shown under a reply's last message, once, and never harm the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.domain.cards import Button, ReplyActions
from bot.domain.messages import Trigger
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.slack.cards.button_values import parse_button_value
from tests.conformance.http_client import GENERAL, Json, wait_until
from tests.integration.slack.replies.reply_fixtures import (
    ONE,
    SEVERAL,
    ReplyFixture,
    reply_fixture,
    rerun_of,
)

LONG = "One sentence after the other. " * 700
BLOCKS_REFUSED = ["invalid_blocks", "msg_blocks_too_many", "invalid_blocks_format"]


def actions_for(turn: Turn) -> ReplyActions:
    return ReplyActions(
        buttons=(Button(label="Ask again", command_name="retry", turn=turn.id),),
        menu=(Button(label="Status", command_name="status", turn=turn.id),),
        small_print="small print",
    )


def under(message: Json) -> list[str]:
    """The types of the blocks below a message's text."""
    return [b["type"] for b in message.get("blocks") or [] if b["type"] != "markdown"]


async def reply_actions(bot: ReplyFixture, turn: Turn) -> list[list[str]]:
    return [under(message) for message in await bot.messages(turn)]


async def send_in_pieces(bot: ReplyFixture, participants: frozenset[str], turn: Turn) -> None:
    """Send an answer in pieces, with time for each."""
    async with bot.workspace.open_reply(turn, participants) as reply:
        for word in ("One ", "two ", "three "):
            reply.append(word)
            await asyncio.sleep(0.04)
        await reply.finish("One two three four.", actions=actions_for(turn))


@pytest.fixture
async def bot() -> AsyncIterator[ReplyFixture]:
    async with reply_fixture() as bot:
        yield bot


@pytest.mark.parametrize("participants", [ONE, SEVERAL])
async def test_the_reply_actions_stand_under_the_answer(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    turn = await bot.start_turn()
    await send_in_pieces(bot, participants, turn)
    assert await bot.texts(turn) == ["One two three four."]
    (message,) = await bot.messages(turn)
    assert under(message) == ["actions", "context"]
    again_button, menu = message["blocks"][-2]["elements"]
    for value in (again_button["value"], menu["options"][0]["value"]):
        carried = parse_button_value(value)
        assert carried is not None
        assert (carried.turn, carried.root_ts) == (turn.id, turn.message.thread.root_ts)
    if participants is ONE:
        assert "chat.update" not in await bot.methods()


async def test_an_answer_that_comes_whole_has_its_reply_actions_at_once(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, ONE) as reply:
        await reply.finish("All of it.", "Stopped.", actions_for(turn))
    assert await bot.texts(turn) == ["All of it.\n\n_Stopped._"]
    assert await reply_actions(bot, turn) == [["actions", "context"]]
    (post,) = await bot.outside.calls("chat.postMessage")
    assert post["arguments"]["text"] == "All of it.\n\n_Stopped._"
    assert post["arguments"]["parse"] == "none"


async def test_the_text_beside_the_blocks_can_not_ping(bot: ReplyFixture) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await reply.finish("<!channel> & `<@UBOB>`", actions=actions_for(turn))
    (post,) = await bot.outside.calls("chat.postMessage")
    assert "<" not in post["arguments"]["text"]


@pytest.mark.parametrize("participants", [ONE, SEVERAL])
async def test_of_a_long_answer_the_last_message_alone_has_the_reply_actions(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append(LONG[:3_000])
        await wait_until(lambda: bot.texts(turn), "the first text goes out")
        await reply.finish(LONG, actions=actions_for(turn))
    assert "".join(await bot.texts(turn)) == LONG
    first, last = await reply_actions(bot, turn)
    assert (first, last) == ([], ["actions", "context"])


async def test_without_reply_actions_nothing_is_different(bot: ReplyFixture) -> None:
    for actions in (None, ReplyActions()):
        turn = await bot.start_turn()
        async with bot.workspace.open_reply(turn, SEVERAL) as reply:
            await reply.finish("Just this.", actions=actions)
        assert await reply_actions(bot, turn) == [[]]
    for post in await bot.outside.calls("chat.postMessage"):
        assert post["arguments"]["markdown_text"] == "Just this."


@pytest.mark.parametrize("code", BLOCKS_REFUSED)
@pytest.mark.parametrize(
    ("participants", "method"),
    [(ONE, "chat.stopStream"), (SEVERAL, "chat.update")],
)
async def test_reply_actions_that_slack_will_not_have_are_done_without(
    bot: ReplyFixture, participants: frozenset[str], method: str, code: str
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        reply.append("One two ")
        await wait_until(lambda: bot.texts(turn), "the first text goes out")
        await bot.fault(method, "error", error=code)
        await reply.finish("One two three.", actions=actions_for(turn))
    assert await bot.texts(turn) == ["One two three."]
    assert await reply_actions(bot, turn) == [[]]


async def test_a_post_whose_reply_actions_slack_will_not_have_comes_whole_all_the_same(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    await bot.fault("chat.postMessage", "error", error="invalid_blocks")
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        await reply.finish(LONG, "Stopped.", actions_for(turn))
    assert len(await bot.texts(turn)) == 2
    assert (await bot.texts(turn))[-1].endswith("_Stopped._")


async def test_a_text_that_has_to_come_as_it_was_typed_comes_without_its_reply_actions(
    bot: ReplyFixture,
) -> None:
    await bot.fault("chat.postMessage", "error", error="invalid_blocks", times=20)
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        with pytest.raises(SlackError):
            await reply.finish("Never.", actions=actions_for(turn))
    await bot.no_faults()
    async with bot.workspace.open_reply(rerun_of(turn), SEVERAL, bot.parts(turn)) as reply:
        await reply.finish("Now.", actions=actions_for(turn))
    assert await bot.texts(turn) == ["Now."]
    assert await reply_actions(bot, turn) == [["actions", "context"]]


async def test_where_edits_are_refused_the_answer_is_not_posted_again_for_its_actions(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, SEVERAL) as reply:
        reply.append("All of it.")
        await wait_until(lambda: bot.texts(turn), "the text is there")
        await bot.fault("chat.update", "error", error="cant_update_message", times=5)
        await reply.finish("All of it.", actions=actions_for(turn))
    assert await bot.texts(turn) == ["All of it."]
    assert await reply_actions(bot, turn) == [[]]
    assert len(await bot.outside.calls("chat.postMessage")) == 1


@pytest.mark.parametrize("participants", [ONE, SEVERAL])
async def test_a_reply_that_is_finished_again_has_the_reply_actions_once_and_last(
    bot: ReplyFixture, participants: frozenset[str]
) -> None:
    """Killed after the end was shown and before that was saved; the answer is longer now."""
    turn = await bot.start_turn()
    async with bot.workspace.open_reply(turn, participants) as reply:
        await reply.finish("A short answer.", actions=actions_for(turn))
    assert await reply_actions(bot, turn) == [["actions", "context"]]
    bot.restart()
    async with bot.workspace.open_reply(rerun_of(turn), participants, bot.parts(turn)) as reply:
        reply.append(LONG[:500])
        await reply.finish(LONG, actions=actions_for(turn))
    assert "".join(await bot.texts(turn)) == LONG
    assert await reply_actions(bot, turn) == [[], ["actions", "context"]]
    bot.restart()
    third = rerun_of(rerun_of(turn))
    async with bot.workspace.open_reply(third, participants, bot.parts(turn)) as reply:
        await reply.finish("Short after all.", actions=actions_for(turn))
    assert await bot.texts(turn) == ["Short after all."]
    assert await reply_actions(bot, turn) == [["actions", "context"]]


@pytest.mark.parametrize("participants", [ONE, SEVERAL])
@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after", "garbage"])
@pytest.mark.parametrize(
    "method", ["chat.startStream", "chat.stopStream", "chat.postMessage", "chat.update"]
)
async def test_whatever_call_breaks_the_answer_and_its_reply_actions_stand_there_once(
    bot: ReplyFixture, participants: frozenset[str], kind: str, method: str
) -> None:
    await bot.fault(method, kind)
    turn = await bot.start_turn()
    await send_in_pieces(bot, participants, turn)
    assert await bot.texts(turn) == ["One two three four."]
    assert await reply_actions(bot, turn) == [["actions", "context"]]


METHODS = ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(faults=[("chat.startStream", "drop_after")], length=21_720, killed=True, participants=ONE)
@given(
    faults=st.lists(
        st.tuples(
            st.sampled_from([*METHODS, "chat.update"]),
            st.sampled_from(["429", "500", "drop_before", "drop_after", "garbage"]),
        ),
        max_size=4,
    ),
    length=st.integers(1, 30_000),
    killed=st.booleans(),
    participants=st.sampled_from([ONE, SEVERAL]),
)
async def test_the_reply_actions_are_the_last_thing_whatever_fails(
    faults: list[tuple[str, str]], length: int, killed: bool, participants: frozenset[str]
) -> None:
    text = (LONG * 2)[:length].rstrip()
    async with reply_fixture() as bot:
        turn = await bot.start_turn()
        for method, kind in faults:
            await bot.fault(method, kind)
        if killed:
            async with bot.workspace.open_reply(turn, participants) as reply:
                reply.append(text[: length // 2])
                await asyncio.sleep(0.02)
            bot.restart()
        async with bot.workspace.open_reply(rerun_of(turn), participants, bot.parts(turn)) as reply:
            await reply.finish(text, actions=actions_for(turn))
        assert "".join(await bot.texts(turn)) == text
        shown = await reply_actions(bot, turn)
    assert shown == [[]] * (len(shown) - 1) + [["actions", "context"]]


# Turns that a button began


async def test_a_turn_that_a_press_began_has_no_message_to_mark_and_posts_ephemerally_in_the_thread(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    await bot.outside.say("xoxp-bob", GENERAL, "a reply", thread_ts=turn.message.ts)
    press = replace(turn.message, trigger=Trigger.REPLY_ACTION, ts="1890000000.000001")
    await bot.workspace.add_waiting_reaction(press)
    await bot.workspace.remove_waiting_reaction(press)
    assert [name for name in await bot.methods() if name.startswith("reactions.")] == []
    await bot.workspace.post_notice(press, "Psst")
    (seen,) = await bot.outside.ephemeral("UALICE")
    assert (seen["text"], seen["thread_ts"]) == ("Psst", turn.message.thread.root_ts)


async def test_what_a_press_began_is_found_after_a_restart_also_by_a_clock_that_is_ahead(
    bot: ReplyFixture,
) -> None:
    turn = await bot.start_turn()
    ahead = f"{int(turn.message.ts.partition('.')[0]) + 3_600}.000001"
    turn = replace(turn, message=replace(turn.message, trigger=Trigger.REPLY_ACTION, ts=ahead))
    async with bot.workspace.open_reply(turn, ONE) as reply:
        reply.append("Half of")
        await wait_until(lambda: bot.texts(turn), "the stream is there")
    bot.restart()
    bot.saved_parts.clear()
    async with bot.workspace.open_reply(rerun_of(turn), ONE) as reply:
        await reply.finish("Half of it.", actions=actions_for(turn))
    assert await bot.texts(turn) == ["Half of it."]
