"""The Copilot runtime dies under running turns: each is retried once, and answered once."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from bot.domain.messages import ThreadKey
from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind
from bot.turns.comparison import STOPPED
from tests.emulator_client import GENERAL
from tests.integration.copilot.session_probe import freeze, runtimes_of, wait_until
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scenarios.faults.test_awkward_moments import refuse
from tests.scripted_model import Answer, ScriptedModel

RUNTIME_STOPPED = AGENT_ERROR_MESSAGES[AgentErrorKind.RUNTIME]


def kill_runtime(bots: Bots) -> None:
    [pid] = runtimes_of(Path(bots.env["DATA_DIR"]))
    os.kill(pid, signal.SIGKILL)


async def until_on_disk(bots: Bots, prompt: str) -> None:
    """Wait until the runtime has a prompt in its history, where a crash leaves it."""
    folder = Path(bots.env["DATA_DIR"])
    await wait_until(
        lambda: any(prompt in file.read_text() for file in folder.rglob("events.jsonl"))
    )


async def test_a_turn_whose_runtime_is_killed_is_asked_again_and_answered_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Its text is retracted, and the prompt in the dead runtime's history is sent once."""
    model.when("second", Answer(chunks=["half of ", "nothing"], hold_after=1, times=1))
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await model.reached()
    await slack.until_shown(GENERAL, ts, "half of")
    await until_on_disk(bots, "second")
    kill_runtime(bots)
    await slack.until_shown(GENERAL, ts, "You said: second")
    await slack.wait_until_answered(GENERAL, ts, n=2)
    assert await slack.bot_texts(GENERAL, ts) == ["You said: first", "You said: second"]
    assert list(model.requests[-1].prompts) == ["first", "second"]
    await slack.say("alice", GENERAL, "third", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: third")
    assert list(model.requests[-1].prompts) == ["first", "second", "third"]


async def test_a_turn_whose_runtime_dies_twice_is_reported_and_can_be_asked_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1, times=2))
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    for times in (1, 2):
        await model.reached(times)
        await until_on_disk(bots, "first")
        kill_runtime(bots)
    await slack.until_shown(GENERAL, ts, RUNTIME_STOPPED)
    await slack.until_idle(bot)
    assert len(model.requests) == 2
    again = await slack.reply_action(GENERAL, ts, "retry")
    await slack.press_reply_action("alice", GENERAL, again)
    await slack.until_shown(GENERAL, ts, "You said: first")
    assert model.requests[-1].prompts == ("first",)
    [error, answer] = await slack.bot_texts(GENERAL, ts)
    assert RUNTIME_STOPPED in error
    assert answer == "You said: first"


async def test_all_turns_whose_runtime_is_killed_are_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Several at once, in threads of their own: one runtime is started for all of them."""
    bots.env.update(MAX_TURNS_PER_USER="9")
    questions = [f"question {number}" for number in range(5)]
    for question in questions:
        model.when(question, Answer(chunks=["half ", "done"], hold_after=1, times=1))
    await bots.start()
    threads = [
        await slack.say("alice", GENERAL, f"@threadpilot {question}") for question in questions
    ]
    await model.reached(len(questions))
    kill_runtime(bots)
    for ts, question in zip(threads, questions, strict=True):
        await slack.until_shown(GENERAL, ts, f"You said: {question}")
        await slack.wait_until_answered(GENERAL, ts)
        assert await slack.bot_texts(GENERAL, ts) == [f"You said: {question}"]
    last_prompts = [question_of(request.prompt) for request in model.requests[-len(questions) :]]
    assert sorted(last_prompts) == questions
    assert len(runtimes_of(Path(bots.env["DATA_DIR"]))) == 1


async def test_turns_that_start_before_the_death_is_noticed_are_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """One in a live session, and one in a session that must be opened."""
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    kill_runtime(bots)
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    other = await slack.say("bob", GENERAL, "@threadpilot third")
    await slack.until_shown(GENERAL, ts, "You said: second")
    await slack.until_shown(GENERAL, other, "You said: third")
    for thread in (ts, other):
        assert not await slack.shows(GENERAL, thread, RUNTIME_STOPPED)
    assert [request.prompts for request in model.requests if len(request.prompts) > 1] == [
        ("first", "second")
    ]


async def test_a_turn_that_was_stopped_is_not_asked_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Stop was pressed while the runtime hung; then it dies."""
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1))
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "half")
    [pid] = runtimes_of(Path(bots.env["DATA_DIR"]))
    await freeze(pid)
    thread = ThreadKey(team="T0SANDBOX", channel=GENERAL, root_ts=ts)
    stopping = asyncio.create_task(bot.turn_processor.stop_answer(thread, "UALICE"))
    await asyncio.sleep(0)  # it is sent, and the runtime does not receive it
    os.kill(pid, signal.SIGKILL)
    assert await stopping
    await slack.until_shown(GENERAL, ts, STOPPED)
    await slack.until_idle(bot)
    assert len(model.requests) == 1
    [shown] = await slack.bot_texts(GENERAL, ts)
    assert shown.startswith("half")
    assert RUNTIME_STOPPED not in shown


async def test_a_prompt_in_the_history_without_a_record_is_sent_once_too(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The database refused to record its place in the history."""
    model.when("second", Answer(chunks=["half ", "done"], hold_after=1, times=1))
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    refuse(bots.env["DATA_DIR"], "INSERT ON remembered WHEN 1")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await model.reached()
    await until_on_disk(bots, "second")
    kill_runtime(bots)
    await slack.until_shown(GENERAL, ts, "You said: second")
    assert list(model.requests[-1].prompts) == ["first", "second"]


async def test_a_comparison_whose_runtime_is_killed_is_reported_and_not_asked_again(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """If one answer were requested later than the others, it would be no comparison."""
    model.models = ["model-a", "model-b"]
    model.when("which?", Answer(chunks=["half ", "done"], hold_after=1))
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.say("alice", GENERAL, "!compare model-a model-b which?", thread_ts=ts)
    await model.reached(2)
    kill_runtime(bots)
    await slack.until_shown(GENERAL, ts, RUNTIME_STOPPED)
    await slack.until_idle(bot)
    assert len(model.requests) == 3
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
