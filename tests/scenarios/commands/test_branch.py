"""Tests retry, rewind and fork: the model's next request shows what each session knows."""

from __future__ import annotations

from tests.emulator_client import GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, reply_actions_in
from tests.scripted_model import Answer, ModelRequest, ScriptedModel


def recite(request: ModelRequest) -> str:
    """A model that repeats everything that it remembers of this thread."""
    return " | ".join(request.prompts)


async def a_thread_of(
    bots: Bots, slack: ScenarioClient, *questions: str, person: str = "alice"
) -> str:
    """A thread in which a user asked these questions and got an answer to each."""
    ts = await slack.say(person, GENERAL, f"@threadpilot {questions[0]}")
    await slack.wait_until_answered(GENERAL, ts)
    for number, question in enumerate(questions[1:], start=2):
        await slack.say(person, GENERAL, question, thread_ts=ts)
        await slack.wait_until_answered(GENERAL, ts, n=number)
    await slack.until_idle(bots.bot)
    return ts


async def a_fork_of(slack: ScenarioClient, root: str) -> str:
    """The thread of a fork: its root is the bot's newest message in the channel."""

    async def begun() -> str | None:
        messages = await slack.history(GENERAL)
        ours = [m["ts"] for m in messages if m.get("bot_id") and m["ts"] > root]
        return ours[0] if ours else None

    return str(await slack.wait_for(begun, why="a thread is begun for the fork"))


async def test_ask_again_under_the_last_reply_forgets_it_and_answers_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two")
    await slack.press_reply_action("alice", GENERAL, await slack.reply_action(GENERAL, ts, "retry"))
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert (await slack.bot_texts(GENERAL, ts))[2] == "one | two"
    assert model.requests[-1].prompts == ("one", "two"), "the first try is out of the history"
    await slack.say("alice", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "one | two | three")


async def test_an_earlier_answer_is_retried_after_its_owner_confirms_the_loss(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two", "three", person="bob")
    again = await slack.reply_action(GENERAL, ts, "retry", n=1)
    await slack.say("carol", GENERAL, "hm", thread_ts=ts)
    await slack.press_reply_action("carol", GENERAL, again)
    assert "Only the owner of this session" in await slack.wait_for_ephemeral("carol")
    await slack.press_reply_action("bob", GENERAL, again)
    assert "forget what came after it (1 more)" in await slack.wait_for_ephemeral("bob")
    assert len(model.requests) == 3, "nothing is asked before it is sure"
    [warning] = await slack.ephemeral("bob")
    [anyway] = reply_actions_in(warning)
    await slack.press_reply_action("bob", GENERAL, anyway)
    await slack.wait_until_answered(GENERAL, ts, n=4)
    assert model.requests[-1].prompts == ("one", "two")


async def test_messages_before_a_retry_are_in_the_later_context(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """But the removed answer does not."""
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    await slack.say("bob", GENERAL, "It was the cache.", thread_ts=ts)
    await slack.press_reply_action("alice", GENERAL, await slack.reply_action(GENERAL, ts, "retry"))
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert model.requests[-1].prompts == ("one",)
    await slack.say("alice", GENERAL, "@threadpilot and now", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert "It was the cache." in model.requests[-1].prompt
    assert "You said" not in model.requests[-1].prompt


async def test_retry_pressed_twice_gives_one_answer_and_the_thread_continues_from_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("two", Answer(chunks=["a", "b"], hold_after=1))
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    again = await slack.reply_action(GENERAL, ts, "retry")
    await slack.say("alice", GENERAL, "two", thread_ts=ts)
    await model.reached()
    await slack.say("alice", GENERAL, "!stop", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Stopped.")
    await slack.say("alice", GENERAL, "!rewind", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "I've forgotten “two”")
    model.when("one", Answer(chunks=["c", "d"], hold_after=1, times=1))
    before = len(await slack.ephemeral("alice"))
    await slack.press_reply_action("alice", GENERAL, again)
    await model.reached(2)
    await slack.press_reply_action("alice", GENERAL, again)
    assert "I'm already retrying that" in await slack.wait_for_ephemeral("alice", before + 2)
    model.release()
    await slack.until_shown(GENERAL, ts, "cd")
    await slack.press_reply_action("alice", GENERAL, again)
    await slack.wait_until_answered(GENERAL, ts, n=5)
    await model.received(4)
    assert model.requests[-1].prompts == ("one",)
    assert [request.prompt for request in model.requests] == ["one", "two", "one", "one"]


async def test_a_reply_of_an_earlier_session_is_not_forked_as_if_it_were_this_ones(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    old = {
        name: await slack.reply_action(GENERAL, ts, name) for name in ("fork", "retry", "rewind")
    }
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Fresh start")
    await slack.say("alice", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    for times, button in enumerate(old.values(), start=1):
        await slack.press_reply_action("alice", GENERAL, button)
        assert "another session" in await slack.wait_for_ephemeral("alice", times)
    assert len(model.requests) == 2


async def test_retry_with_a_model_asks_that_model_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    await slack.say("alice", GENERAL, "!retry scripted-2", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert [request.model for request in model.requests] == ["scripted-1", "scripted-2"]
    await slack.say("alice", GENERAL, "and now", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert model.requests[-1].model == "scripted-1"


async def test_retry_with_an_unknown_model_lists_the_models(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    notice = await slack.ephemeral_after_message("alice", GENERAL, ts, "!retry gpt-nope")
    assert "gpt-nope" in notice
    assert "scripted-1" in notice
    assert len(model.requests) == 1


async def test_a_failed_answer_can_be_retried(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A prompt without an answer stays in the runtime's history: the bot must remove it."""
    model.when("one", Answer(fault=400, times=1))
    model.when("one again", Answer("never said"))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot one")
    await slack.press_reply_action("alice", GENERAL, await slack.reply_action(GENERAL, ts, "retry"))
    await slack.until_shown(GENERAL, ts, "You said: one")
    assert model.requests[-1].prompts == ("one",)


async def test_rewind_forgets_a_reply_and_all_after_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two", "three")
    await slack.press_reply_action(
        "alice", GENERAL, await slack.reply_action(GENERAL, ts, "rewind", n=1)
    )
    await slack.until_shown(GENERAL, ts, "I've forgotten “two” and the one after it")
    await slack.say("alice", GENERAL, "four", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "one | four")
    assert model.requests[-1].prompts == ("one", "four")


async def test_rewind_by_message_goes_back_one_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two")
    await slack.say("alice", GENERAL, "!rewind", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "I've forgotten “two”;")
    await slack.say("alice", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "one | three")


async def test_rewind_does_not_wait_while_an_answer_runs(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("slow", Answer(chunks=["a", "b"], hold_after=1))
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    await slack.say("alice", GENERAL, "slow", thread_ts=ts)
    await model.reached()
    assert "Stop me first" in await slack.ephemeral_after_message("alice", GENERAL, ts, "!rewind")
    model.release()
    await slack.wait_until_answered(GENERAL, ts, n=2)


async def test_another_user_may_not_rewind_the_owners_session(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", person="bob")
    assert "Only the owner" in await slack.ephemeral_after_message("carol", GENERAL, ts, "!rewind")


async def test_a_fork_knows_everything_and_both_continue_separately(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two")
    await slack.say("alice", GENERAL, "!fork", thread_ts=ts)
    fork = await a_fork_of(slack, ts)
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    await slack.say("alice", GENERAL, "in the fork", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "one | two | in the fork")
    await slack.say("alice", GENERAL, "in the old one", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "one | two | in the old one")


async def test_a_fork_from_a_reply_knows_up_to_that_reply(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two", "three")
    await slack.press_reply_action(
        "bob", GENERAL, await slack.reply_action(GENERAL, ts, "fork", n=0)
    )
    fork = await a_fork_of(slack, ts)
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    await slack.say("bob", GENERAL, "then", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "one | then")


async def test_a_fork_can_be_rewound_and_its_answers_retried(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    bot = await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two")
    await slack.say("alice", GENERAL, "!fork", thread_ts=ts)
    fork = await a_fork_of(slack, ts)
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    await slack.say("alice", GENERAL, "three", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "one | two | three")
    await slack.until_idle(bot)
    await slack.say("alice", GENERAL, "!rewind", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "I've forgotten “three”;")
    await slack.say("alice", GENERAL, "four", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "one | two | four")


async def test_a_fork_while_an_answer_runs_does_not_know_its_question(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    model.when("slow", Answer(chunks=["a", "b"], hold_after=1, times=1))
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    await slack.say("alice", GENERAL, "slow", thread_ts=ts)
    await model.reached()
    await slack.say("alice", GENERAL, "!fork", thread_ts=ts)
    fork = await a_fork_of(slack, ts)
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    model.release()
    await slack.wait_until_answered(GENERAL, ts, n=3)
    await slack.say("alice", GENERAL, "then", thread_ts=fork)
    await slack.until_shown(GENERAL, fork, "one | then")


async def test_there_is_nothing_to_fork_before_the_first_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.say("alice", GENERAL, "hello everybody")
    assert "nothing to fork" in await slack.ephemeral_after_message(
        "alice", GENERAL, ts, "@threadpilot fork"
    )
    assert model.requests == []
