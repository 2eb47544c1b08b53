"""Faults of the model, through the real runtime.

Each kind has one sentence, shown once, and the thread's next question is answered.
"""

from __future__ import annotations

import pytest

from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind
from tests.emulator_client import GENERAL
from tests.fakes import OffsetClock
from tests.scenarios.conftest import Bots, ScenarioClient, free_port, question_of
from tests.scripted_model import Answer, ScriptedModel

SECONDS = 90.0
"""Timeout in seconds. The runtime retries most of these five times, with growing pauses: 24 s when
it is idle."""

HALF = ["half ", "done"]
FAULTS = {
    "a refused key": (Answer(fault=401), AgentErrorKind.ACCESS, ""),
    "too many, for long": (Answer(fault=429, retry_after=1), AgentErrorKind.RATE_LIMIT, ""),
    "a broken server": (Answer(fault=500), AgentErrorKind.MODEL, ""),
    "a cut stream": (Answer(chunks=HALF, fault="cut"), AgentErrorKind.UNREACHABLE, "half"),
    "garbage": (Answer(chunks=HALF, fault="garbage"), AgentErrorKind.UNREACHABLE, "half"),
}
"""A question about each, the model's fault, its error kind, and the text of the last try that stays
above the sentence."""


async def test_each_model_fault_is_reported_once_and_the_next_question_is_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """All at once, each in a thread of its own: none delays another."""
    bots.env["MAX_TURNS_PER_USER"] = "20"
    for question, (answer, _, _) in FAULTS.items():
        model.when(f"what of {question}?", answer)
    bot = await bots.start()
    threads = {
        question: await slack.say("alice", GENERAL, f"@threadpilot what of {question}?")
        for question in FAULTS
    }
    for question, (_, fault, _) in FAULTS.items():
        await slack.until_shown(GENERAL, threads[question], AGENT_ERROR_MESSAGES[fault], SECONDS)
    await slack.until_idle(bot)
    for question, ts in threads.items():
        [shown] = await slack.bot_texts(GENERAL, ts)
        _, fault, kept_text = FAULTS[question]
        assert shown.split() == f"{kept_text} _{AGENT_ERROR_MESSAGES[fault]}_".split()
        await slack.reply_action(GENERAL, ts, "retry")
        await slack.say("alice", GENERAL, f"and without {question}?", thread_ts=ts)
    for question, ts in threads.items():
        await slack.until_shown(GENERAL, ts, f"You said: and without {question}?")


async def test_rate_limits_of_the_model_are_waited_out_even_without_retry_after(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """(If it continues, the runtime gives up after 52 s: measured.)"""
    model.when("hurry", Answer(fault=429, times=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot hurry")
    await slack.until_shown(GENERAL, ts, "You said: hurry", SECONDS)
    await slack.wait_until_answered(GENERAL, ts)
    assert await slack.bot_texts(GENERAL, ts) == ["You said: hurry"]
    assert [request.prompts for request in model.requests] == [("hurry",)] * 2


async def test_a_missing_model_server_is_reported_and_used_again_when_it_returns(
    bots: Bots, slack: ScenarioClient
) -> None:
    port = free_port()
    bots.env["MODEL_BASE_URL"] = f"http://127.0.0.1:{port}/v1"
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot anybody there?")
    unreachable = AGENT_ERROR_MESSAGES[AgentErrorKind.UNREACHABLE]
    await slack.until_shown(GENERAL, ts, unreachable, SECONDS)
    await slack.wait_until_answered(GENERAL, ts)
    assert len(await slack.bot_texts(GENERAL, ts)) == 1
    async with ScriptedModel(port):
        await slack.press_reply_action(
            "alice", GENERAL, await slack.reply_action(GENERAL, ts, "retry")
        )
        await slack.until_shown(GENERAL, ts, "You said: anybody there?")
        await slack.wait_until_answered(GENERAL, ts, n=2)
    assert len(await slack.bot_texts(GENERAL, ts)) == 2


async def test_a_silent_model_times_out_and_is_reported(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Before its first word, and in the middle, where its text stays."""
    clock = OffsetClock()
    model.when("hush", Answer(fault="silence", times=1))
    model.when("half", Answer(chunks=["so ", "far"], hold_after=1, times=1))
    bot = await bots.start(clock)
    mute = await slack.say("alice", GENERAL, "@threadpilot hush")
    half = await slack.say("alice", GENERAL, "@threadpilot half")
    await model.reached(2)
    await slack.until_shown(GENERAL, half, "so")

    async def given_up() -> bool:
        await clock.pass_by(130)
        return model.disconnects == 2

    await slack.wait_for(given_up, why="the wait for the model ended")
    silent = AGENT_ERROR_MESSAGES[AgentErrorKind.SILENT]
    for ts in (mute, half):
        await slack.until_shown(GENERAL, ts, silent)
    await slack.until_idle(bot)
    [text] = await slack.bot_texts(GENERAL, mute)
    assert text.strip("_\n") == silent
    [text] = await slack.bot_texts(GENERAL, half)
    assert text.startswith("so")
    assert text.count(silent) == 1
    for ts in (mute, half):
        await slack.say("alice", GENERAL, "awake?", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: awake?")


@pytest.mark.parametrize("fault", ["cut", "garbage"])
async def test_the_text_of_a_retried_model_call_is_retracted(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, fault: str
) -> None:
    """It was shown already, and is not shown twice."""
    model.default = Answer(lambda request: f"Whole: {question_of(request.prompt)}")
    half = ["Wrong ", "and ", "half ", "of it"]
    model.when(
        "question",
        Answer(chunks=half, hold_after=1, fault="cut" if fault == "cut" else "garbage", times=1),
    )
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot question")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "Wrong")
    model.release()
    await slack.until_shown(GENERAL, ts, "Whole: question")
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, ts) == ["Whole: question"]
    assert [request.prompts for request in model.requests] == [("question",)] * 2
