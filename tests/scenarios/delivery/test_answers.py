"""The thread's session answers a mention: streamed, remembered, in order, once."""

from __future__ import annotations

import asyncio

import pytest

from tests.emulator_client import DEV, GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, question_of, start_busy_thread
from tests.scripted_model import Answer, ModelRequest, ScriptedModel


def recite(request: ModelRequest) -> str:
    """A model that recites all user texts of this thread."""
    return " | ".join(request.prompts)


@pytest.mark.usefixtures("transport")
async def test_a_mention_gets_a_streamed_answer_in_its_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("Python", Answer(chunks=["Python is ", "a programming ", "language."], hold_after=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot what is Python?")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "Python")
    model.release()
    await slack.wait_until_answered(GENERAL, ts)
    assert await slack.bot_texts(GENERAL, ts) == ["Python is a programming language."]
    assert [call["method"] for call in await slack.calls("chat.startStream")] == [
        "chat.startStream"
    ]
    assert await slack.calls("chat.postMessage") == []
    assert model.requests[0].prompt == "what is Python?"
    assert model.requests[0].tools == 0


@pytest.mark.usefixtures("transport")
async def test_a_follow_up_without_a_mention_remembers_the_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot my number is 7")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, "which number?", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert (await slack.bot_texts(GENERAL, ts))[1] == "my number is 7 | which number?"


async def test_a_thread_remembers_after_a_restart_of_everything(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    async with bots.running():
        ts = await slack.say("alice", GENERAL, "@threadpilot my number is 7")
        await slack.wait_until_answered(GENERAL, ts)
    async with bots.running():
        await slack.say("alice", GENERAL, "which number?", thread_ts=ts)
        await slack.wait_until_answered(GENERAL, ts, n=2)
    assert (await slack.bot_texts(GENERAL, ts))[1] == "my number is 7 | which number?"


async def test_a_direct_message_is_answered_in_a_thread_of_its_own(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    dm = await slack.dm("bob")
    first = await slack.say("bob", dm, "one")
    second = await slack.say("bob", dm, "two")
    assert await slack.wait_until_answered(dm, first, person="bob") == ["one"]
    assert await slack.wait_until_answered(dm, second, person="bob") == ["two"]


async def test_two_threads_at_once_do_not_mix(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("alpha", Answer(chunks=["al", "pha ", "done"], hold_after=1))
    model.when("beta", Answer(chunks=["be", "ta ", "done"], hold_after=1))
    await bots.start()
    alpha = await slack.say("alice", GENERAL, "@threadpilot alpha")
    beta = await slack.say("bob", DEV, "@threadpilot beta")
    await model.reached(2)
    model.release()
    await slack.wait_until_answered(GENERAL, alpha)
    await slack.wait_until_answered(DEV, beta)
    assert await slack.bot_texts(GENERAL, alpha) == ["alpha done"]
    assert await slack.bot_texts(DEV, beta) == ["beta done"]
    assert sorted(request.prompts for request in model.requests) == [("alpha",), ("beta",)]


async def test_a_second_message_is_queued_marked_and_answered_in_order(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
    third = await slack.say("alice", GENERAL, "third", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, third)
    assert await slack.reactions(GENERAL, second) == ["hourglass_flowing_sand"]
    model.release()
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert await slack.bot_texts(GENERAL, ts) == [
        "one done",
        "You said: second",
        "You said: third",
    ]
    await slack.wait_until_reaction_cleared(GENERAL, second)
    await slack.wait_until_reaction_cleared(GENERAL, third)
    assert [request.prompt for request in model.requests] == ["first", "second", "third"]


@pytest.mark.usefixtures("transport")
async def test_a_message_delivered_many_times_is_answered_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Slack sends a mention as two events; here each of them comes twice more."""
    await bots.start()
    await slack.fault(method="events", kind="duplicate", times=4)
    ts = await slack.say("alice", GENERAL, "@threadpilot once")
    await slack.wait_until_answered(GENERAL, ts)
    again = await slack.say("alice", GENERAL, "and now", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert await slack.bot_texts(GENERAL, ts) == ["You said: once", "You said: and now"]
    assert [request.prompt for request in model.requests] == ["once", "and now"]
    assert again > ts


@pytest.mark.usefixtures("transport")
async def test_stop_ends_the_answer_and_keeps_what_is_shown(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("story", Answer(chunks=["Once upon ", "a time ", "never shown"], hold_after=2))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot story")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "Once upon")
    await slack.stop("alice", GENERAL, ts)
    await slack.wait_until_answered(GENERAL, ts)
    await model.disconnected(1)
    [shown] = await slack.bot_texts(GENERAL, ts)
    assert shown.startswith("Once upon")
    assert "never shown" not in shown
    await slack.say("alice", GENERAL, "go on", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert (await slack.bot_texts(GENERAL, ts))[1] == "You said: go on"


async def test_a_thread_of_two_users_is_answered_only_when_the_bot_is_mentioned(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("bob", GENERAL, "I think so too", thread_ts=ts)
    await slack.say("alice", GENERAL, "do you?", thread_ts=ts)
    await slack.say("bob", GENERAL, "@threadpilot two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    assert await slack.bot_texts(GENERAL, ts) == ["You said: one", "You said: two"]


async def test_mentioned_in_the_middle_of_a_thread_the_bot_knows_its_participants(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Bob wrote before the bot was mentioned: alice's follow-up may be for him."""
    await bots.start()
    ts = await slack.say("bob", GENERAL, "lunch?")
    await slack.say("alice", GENERAL, "@threadpilot what is good for lunch?", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, "shall we go?", thread_ts=ts)
    await slack.say("alice", GENERAL, "@threadpilot thanks", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert [question_of(request.prompt) for request in model.requests] == [
        "what is good for lunch?",
        "thanks",
    ]


async def test_messages_to_another_user_are_not_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, "@carol have a look", thread_ts=ts)
    await slack.say("alice", GENERAL, "two", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert [question_of(request.prompt) for request in model.requests] == ["one", "two"]


async def test_a_user_has_a_limited_number_of_turns_at_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MAX_TURNS_PER_USER"] = "2"
    model.when("slow", Answer(chunks=["a", "b"], hold_after=1))
    await bots.start()
    mine = [await slack.say("alice", GENERAL, f"@threadpilot slow {n}") for n in range(3)]
    await model.reached(2)
    await slack.wait_until_reaction_set(GENERAL, mine[2])
    theirs = await slack.say("bob", GENERAL, "@threadpilot hello")
    await slack.wait_until_answered(GENERAL, theirs)
    assert len(model.requests) == 3
    model.release()
    await model.reached(3)
    model.release()
    for ts in mine:
        await slack.wait_until_answered(GENERAL, ts)
        assert await slack.bot_texts(GENERAL, ts) == ["ab"]


async def test_an_edit_of_a_waiting_message_counts_and_a_deleted_one_is_dropped(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "secnod", thread_ts=ts)
    third = await slack.say("alice", GENERAL, "third", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, third)
    await slack.edit("alice", GENERAL, second, "second")
    await slack.delete("alice", GENERAL, third)
    await slack.wait_for_ephemeral("alice", times=2)
    model.release()
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.say("alice", GENERAL, "fourth", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert [request.prompt for request in model.requests] == ["first", "second", "fourth"]


async def test_many_threads_are_answered_at_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MAX_TURNS_PER_USER"] = "10"
    model.when("together", Answer(chunks=["a", "b"], hold_after=1))
    await bots.start()
    threads = await asyncio.gather(
        *(slack.say("alice", GENERAL, f"@threadpilot together {n}") for n in range(8))
    )
    await model.reached(8)
    model.release()
    for ts in threads:
        await slack.wait_until_answered(GENERAL, ts)
    assert len(model.requests) == 8
