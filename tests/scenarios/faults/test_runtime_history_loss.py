"""A killed runtime may lose unwritten history: then no record claims otherwise."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.sessions.lock_files import folder_of_sessions
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.emulator_client import GENERAL
from tests.integration.copilot.session_probe import runs, runtimes_of, wait_until
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scenarios.faults.test_runtime_death import kill_runtime, until_on_disk
from tests.scripted_model import Answer, ScriptedModel

ROUNDS = 4


def on_record(bots: Bots) -> list[str]:
    """The history of the one session, by the bot's record."""
    query = "SELECT n.text FROM remembered r JOIN turns n ON n.id = r.turn ORDER BY r.place"
    with closing(sqlite3.connect(Path(bots.env["DATA_DIR"]) / DATABASE_NAME)) as database:
        return [str(text).removeprefix("<@U0PILOT> ") for (text,) in database.execute(query)]


def known(model: ScriptedModel) -> list[str]:
    """The prompts of the one session, by the last request to the model."""
    return [question_of(prompt) for prompt in model.requests[-1].prompts]


async def kill(bots: Bots) -> None:
    [pid] = runtimes_of(Path(bots.env["DATA_DIR"]))
    kill_runtime(bots)
    await wait_until(lambda: not runs(pid))


def lose(bots: Bots, text: str) -> None:
    """Cut the one history before the first line with this text, as if the runtime had been killed
    before it wrote that line."""
    [history] = folder_of_sessions(Path(bots.env["DATA_DIR"])).glob("*/events.jsonl")
    lines = history.read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if text in line)
    history.write_text("".join(lines[:first]))


@pytest.mark.parametrize("lost", ["second", "You said: second"], ids=["turn", "answer"])
async def test_a_turn_lost_with_its_runtime_is_not_recorded_as_history(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, lost: str
) -> None:
    """The whole turn, or its answer alone: then the model does not answer its prompt again."""
    bot = await bots.start()
    ts = await slack.start_thread("alice", "first", "second")
    await slack.until_idle(bot)
    await until_on_disk(bots, "You said: second")
    await kill(bots)
    lose(bots, lost)
    await slack.say("alice", GENERAL, "third", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    await slack.until_idle(bot)
    assert known(model) == ["first", "third"]
    assert on_record(bots) == known(model)


async def test_the_record_equals_the_models_history_after_each_kill(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Killed right after an answer, and during one, several times."""
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.until_idle(bot)
    for number in range(ROUNDS):
        model.when(f"under {number}", Answer(chunks=["half ", "done"], hold_after=1, times=1))
        for question in (f"after {number}", f"then {number}", f"under {number}"):
            await slack.say("alice", GENERAL, question, thread_ts=ts)
            if question.startswith("under"):
                await model.reached(number + 1)
                await kill(bots)
            await slack.until_shown(GENERAL, ts, f"You said: {question}")
            await slack.until_idle(bot)
            assert on_record(bots) == known(model)
            if question.startswith("after"):
                await kill(bots)


async def test_a_turn_whose_runtime_died_twice_is_removed_if_the_history_lacks_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The turn failed. Once the session is used again, it is not recorded as history."""
    model.when("second", Answer(chunks=["half ", "done"], hold_after=1, times=2))
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("alice", "first")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    for times in (1, 2):
        await model.reached(times)
        await until_on_disk(bots, "second")
        await kill(bots)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.until_idle(bot)
    assert on_record(bots) == ["first", "second"]
    lose(bots, "second")
    await slack.say("alice", GENERAL, "third", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: third")
    await slack.until_idle(bot)
    assert on_record(bots) == known(model) == ["first", "third"]
