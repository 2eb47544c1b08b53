"""Tests the order of commands and questions, with a slow Slack and after an absence of the bot.

A question after a command is answered with the command done. A command that two users give at once
is done once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bot.commands.texts import branch as branch_texts
from bot.commands.texts import sessions as session_texts
from tests.emulator_client import GENERAL, EmulatorClient
from tests.scenarios.commands.test_branch import a_thread_of, recite
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scenarios.delivery.test_missed_events import BACKFILL_TIMEOUT_SECONDS
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

ROUNDS = 10
SLOW_SECONDS = 0.4


def history_in(request: ModelRequest) -> list[str]:
    """The markers in the model's request: its question and its history."""
    return [question_of(prompt) for prompt in request.prompts]


async def slow(slack: EmulatorClient, seconds: float = SLOW_SECONDS) -> None:
    """Slow down Slack's answers on who sees a channel, which most commands need first."""
    await slack.fault("conversations.info", "slow", times=10_000, delay=seconds)


async def request_for(model: ScriptedModel, text: str, slack: ScenarioClient) -> ModelRequest:
    """The request with this question, as soon as there is one."""

    async def found() -> ModelRequest | None:
        fitting = [each for each in model.requests if question_of(each.prompt) == text]
        return fitting[-1] if fitting else None

    return await slack.wait_for(found, 60.0, f"the model is asked {text!r}")


async def in_rounds(
    slack: ScenarioClient,
    model: ScriptedModel,
    ts: str,
    command: Callable[[int], str],
    fits: Callable[[int, ModelRequest], bool],
) -> int:
    """The number of rounds in which the question right after a command is asked with the command
    done."""
    good = 0
    for number in range(ROUNDS):
        await slack.say("alice", GENERAL, command(number), thread_ts=ts)
        await slack.say("alice", GENERAL, f"question {number}", thread_ts=ts)
        good += fits(number, await request_for(model, f"question {number}", slack))
        await slack.until_shown(GENERAL, ts, f"question {number}", 60.0)
    return good


@pytest.mark.parametrize("command", ["reset", "rewind"])
async def test_a_question_that_follows_it_at_once_does_not_know_what_was_before(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, command: str
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slow(slack)
    good = await in_rounds(
        *(slack, model, ts, lambda _: f"!{command}"),
        lambda number, request: history_in(request) == [f"question {number}"],
    )
    assert good == ROUNDS


async def test_a_question_right_after_a_model_command_is_asked_of_that_model(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slow(slack)

    def chosen(number: int) -> str:
        return f"scripted-{2 - number % 2}"

    good = await in_rounds(
        *(slack, model, ts, lambda number: f"!model {chosen(number)}"),
        lambda number, request: request.model == chosen(number),
    )
    assert good == ROUNDS


@pytest.mark.parametrize("command", ["reset", "rewind", "model scripted-2"])
async def test_what_was_written_while_the_bot_was_away_is_done_and_answered_in_order(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, command: str
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    model.default = Answer(recite)
    async with bots.running() as bot:
        threads = [
            await slack.ask_in_new_thread("alice", f"old {number}") for number in range(ROUNDS)
        ]
        await slack.until_idle(bot)
    for number, ts in enumerate(threads):
        await slack.say("alice", GENERAL, f"!{command}", thread_ts=ts)
        await slack.say("alice", GENERAL, f"question {number}", thread_ts=ts)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    await slow(slack)
    await bots.start()
    requests = [await request_for(model, f"question {n}", slack) for n in range(ROUNDS)]
    for number, ts in enumerate(threads):
        await slack.until_shown(GENERAL, ts, f"question {number}", 60.0)
    if command.startswith("model"):
        assert [request.model for request in requests] == ["scripted-2"] * ROUNDS
    else:
        expected = [[f"question {number}"] for number in range(ROUNDS)]
        assert [history_in(request) for request in requests] == expected


async def test_a_question_waits_for_a_slow_reset_and_is_shown_as_waiting_but_stop_does_not_wait(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slow(slack, 3.0)
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    question = await slack.say("alice", GENERAL, "new", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, question)
    assert len(model.requests) == 1
    request = await request_for(model, "new", slack)
    assert history_in(request) == ["new"]
    await slack.wait_until_reaction_cleared(GENERAL, question)
    assert sum("Fresh start" in text for text in await slack.bot_texts(GENERAL, ts)) == 1


async def test_messages_of_others_after_a_reset_are_in_the_next_questions_context(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Also if it was written before the reset was done."""
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slow(slack, 2.0)
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.say("bob", GENERAL, "The server is zebra.", thread_ts=ts)
    await slack.say("alice", GENERAL, "@threadpilot fresh start", thread_ts=ts)
    request = await request_for(model, "fresh start", slack)
    assert "The server is zebra." in request.prompt
    assert "You said" not in request.prompt


# Twice at once ------------------------------------------------------------------------------------


async def retried(slack: ScenarioClient, model: ScriptedModel, ts: str) -> None:
    """The question is in the history once, after any number of retries."""
    await request_for(model, "old", slack)
    await model.received(2)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.clear_faults()
    await slack.say("alice", GENERAL, "@threadpilot next", thread_ts=ts)
    request = await request_for(model, "next", slack)
    assert history_in(request) == ["old", "next"]
    questions = [question_of(each.prompt) for each in model.requests]
    assert questions == ["old", "old", "next"]


async def test_retry_written_by_two_at_once_is_one_more_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slack.say("bob", GENERAL, "hm", thread_ts=ts)
    await slow(slack)
    await slack.say("alice", GENERAL, "!retry", thread_ts=ts)
    await slack.say("bob", GENERAL, "!retry", thread_ts=ts)
    await slack.say("alice", GENERAL, "!retry", thread_ts=ts)
    await slack.wait_for_ephemeral_text("bob", branch_texts.RETRY_PENDING)
    await retried(slack, model, ts)


async def test_again_pressed_by_two_beside_a_written_retry_is_one_more_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slack.say("bob", GENERAL, "hm", thread_ts=ts)
    again = await slack.reply_action(GENERAL, ts, "retry")
    await slow(slack)
    await asyncio.gather(
        slack.press_reply_action("alice", GENERAL, again),
        slack.press_reply_action("bob", GENERAL, again),
        slack.say("alice", GENERAL, "!retry", thread_ts=ts),
    )
    await retried(slack, model, ts)


async def test_retry_written_twice_while_the_bot_was_away_is_one_more_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running() as bot:
        ts = await slack.ask_in_new_thread("alice", "old")
        await slack.until_idle(bot)
    for _ in range(3):
        await slack.say("alice", GENERAL, "!retry", thread_ts=ts)
    await slack.advance(BACKFILL_TIMEOUT_SECONDS)
    model.when("old", Answer(chunks=["a", "b"], hold_after=1, times=1))
    await bots.start()
    await model.reached()
    await slack.wait_for_ephemeral_text("alice", branch_texts.RETRY_PENDING)
    model.release()
    await retried(slack, model, ts)


async def test_going_back_twice_at_once_goes_back_twice(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one", "two", "three")
    await slow(slack)
    await slack.say("alice", GENERAL, "!rewind", thread_ts=ts)
    await slack.say("alice", GENERAL, "!rewind", thread_ts=ts)
    await slack.say("alice", GENERAL, "four", thread_ts=ts)
    assert history_in(await request_for(model, "four", slack)) == ["one", "four"]
    for text in ("three", "two"):
        await slack.until_shown(GENERAL, ts, f"I've forgotten “{text}”;")


async def test_a_fresh_session_ordered_twice_at_once_is_one(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_thread_of(bots, slack, "old")
    await slow(slack)
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.wait_for_ephemeral_text("alice", session_texts.RESET_FRESH)
    assert sum("Fresh start" in text for text in await slack.bot_texts(GENERAL, ts)) == 1
    assert len(model.requests) == 1


async def test_a_fork_does_not_know_a_question_that_came_after_its_command(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The fork does not wait for the question."""
    model.default = Answer(recite)
    await bots.start()
    ts = await a_thread_of(bots, slack, "one")
    await slow(slack, 3.0)
    await slack.say("alice", GENERAL, "!fork", thread_ts=ts)
    await slack.say("alice", GENERAL, "later", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "one | later")

    async def forked() -> str | None:
        found = [call for call in await slack.calls("chat.postMessage") if call["answer"]]
        roots = [c["answer"]["ts"] for c in found if "thread_ts" not in c["arguments"]]
        return roots[-1] if roots else None

    fork = str(await slack.wait_for(forked, 30.0, "a thread is begun for the fork"))
    await slack.until_shown(GENERAL, ts, "Here's the fork")
    await slack.say("alice", GENERAL, "in the fork", thread_ts=fork)
    assert history_in(await request_for(model, "in the fork", slack)) == ["one", "in the fork"]


# A kill -------------------------------------------------------------------------------------------


async def killed_between(
    env: dict[str, str], slack: ScenarioClient, command: str, question: str
) -> str:
    """Kill a bot that has a command and a question on record and has done neither, because Slack is
    slow. Return the thread, in which "old" was asked before."""
    async with threadpilot("run", env=env) as process:
        ts = await slack.ask_in_new_thread("alice", "old")
        await slow(slack, 20.0)
        await slack.say("alice", GENERAL, command, thread_ts=ts)
        posted = await slack.say("alice", GENERAL, question, thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, posted)
        process.kill()
        await process.wait()
    await slack.clear_faults()
    return ts


async def test_killed_before_a_retry_was_begun_the_next_start_answers_again_once(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await killed_between(env, slack, "!retry", "next")
    async with threadpilot("run", env=env):
        request = await request_for(model, "next", slack)
        await slack.wait_until_answered(GENERAL, ts, n=3)
    assert history_in(request) == ["old", "next"]
    assert [question_of(each.prompt) for each in model.requests] == ["old", "old", "next"]


async def test_killed_before_a_reset_was_done_the_next_start_does_it_before_the_next_question(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    ts = await killed_between(env, slack, "!reset", "new")
    async with threadpilot("run", env=env):
        request = await request_for(model, "new", slack)
        await slack.until_shown(GENERAL, ts, "new")
    assert history_in(request) == ["new"]
    assert sum("Fresh start" in text for text in await slack.bot_texts(GENERAL, ts)) == 1
    assert await slack.ephemeral("alice") == []
