"""Tests the bounded pool of live sessions: resumed on demand, opened early, renewed when large."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bot.app import Bot
from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind
from bot.sessions.maintenance import CHECK_SECONDS, RESTART_INTERVAL_SECONDS
from tests.emulator_client import GENERAL
from tests.fakes import OffsetClock
from tests.integration.copilot.session_probe import runtimes_of
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scripted_model import Answer, ScriptedModel


def small(bots: Bots, places: int, **more: str) -> None:
    """Set the size of the pool."""
    bots.env.update(MAX_SESSIONS=str(places), MAX_TURNS=str(places), **more)


async def until_live(slack: ScenarioClient, bot: Bot, sessions: int) -> None:
    async def live() -> bool:
        return bot.pool.open_count == sessions

    await slack.wait_for(live, 20.0, f"{sessions} sessions are live")


def the_runtime(bots: Bots) -> int:
    """The process id of the runtime, if the bot has exactly one."""
    [runtime] = runtimes_of(Path(bots.env["DATA_DIR"]))
    return runtime


async def until_another_runtime(slack: ScenarioClient, bots: Bots, than: int) -> None:
    async def another() -> bool:
        running = runtimes_of(Path(bots.env["DATA_DIR"]))
        return len(running) == 1 and running != [than]

    await slack.wait_for(another, 30.0, "the runtime is another one")


async def test_many_threads_share_few_places_and_each_remembers(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    small(bots, 2)
    bot = await bots.start()
    threads = [await slack.ask_in_new_thread("alice", f"number {number}") for number in range(5)]
    assert bot.pool.open_count <= 2
    for number, ts in enumerate(threads):
        await slack.say("alice", GENERAL, f"and {number}", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, f"You said: and {number}")
        assert model.requests[-1].prompts == (f"number {number}", f"and {number}")
        assert bot.pool.open_count <= 2


async def test_many_at_once_are_all_answered_one_after_another(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    small(bots, 2)
    bot = await bots.start()
    sent = [
        (await slack.say(person, GENERAL, f"@threadpilot {person} {number}"), f"{person} {number}")
        for person in ("alice", "bob", "carol")
        for number in range(3)
    ]
    for ts, text in sent:
        await slack.until_shown(GENERAL, ts, f"You said: {text}")
        await slack.wait_until_reaction_cleared(GENERAL, ts)
    assert bot.pool.open_count <= 2
    assert sorted(request.prompt for request in model.requests) == sorted(text for _, text in sent)


async def test_when_all_slots_are_in_use_for_too_long_the_user_is_notified(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A comparison takes a slot for each model."""
    model.models = ["scripted-1", "scripted-2"]
    small(bots, 2, POOL_SECONDS="1")
    model.when("which?", Answer(chunks=["a ", "b"], hold_after=1))
    await bots.start()
    await slack.say("alice", GENERAL, "@threadpilot compare scripted-1 scripted-2 which?")
    await model.reached(2)
    ts = await slack.say("bob", GENERAL, "@threadpilot and I?")
    await slack.until_shown(GENERAL, ts, AGENT_ERROR_MESSAGES[AgentErrorKind.BUSY])
    model.release()
    await slack.say("bob", GENERAL, "again", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: again")
    assert len(model.requests) == 3


async def test_a_slot_that_becomes_free_in_time_is_used(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    small(bots, 2)
    model.when("which?", Answer(chunks=["a ", "b"], hold_after=1))
    bot = await bots.start()
    await slack.say("alice", GENERAL, "@threadpilot compare scripted-1 scripted-2 which?")
    await model.reached(2)
    ts = await slack.say("bob", GENERAL, "@threadpilot and I?")

    async def both_run() -> bool:
        return bot.inbox.running_count == 2

    await slack.wait_for(both_run)
    model.release()
    await slack.until_shown(GENERAL, ts, "You said: and I?")


async def test_a_session_is_opened_while_its_turn_still_waits(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MAX_TURNS_PER_USER"] = "1"
    async with bots.running():
        first, second = (
            await slack.ask_in_new_thread("bob", "one"),
            await slack.ask_in_new_thread("bob", "two"),
        )
    model.when("long", Answer(chunks=["one ", "done"], hold_after=1))
    bot = await bots.start()
    await slack.say("bob", GENERAL, "long", thread_ts=first)
    await model.reached()
    assert bot.pool.open_count == 1
    waiting = await slack.say("bob", GENERAL, "next", thread_ts=second)
    await slack.wait_until_reaction_set(GENERAL, waiting)
    await until_live(slack, bot, 2)
    model.release()
    await slack.until_shown(GENERAL, second, "You said: next")
    assert model.requests[-1].prompts == ("two", "next")


async def test_opening_the_direct_messages_opens_the_users_session(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        direct = await slack.dm("bob")
        ts = await slack.say("bob", direct, "one")
        await slack.wait_until_answered(direct, ts, person="bob")
    bot = await bots.start()
    assert bot.pool.open_count == 0
    await slack.home("bob", tab="messages")
    await until_live(slack, bot, 1)
    await slack.say("bob", direct, "two", thread_ts=ts)
    await slack.wait_until_answered(direct, ts, n=2, person="bob")
    assert model.requests[-1].prompts == ("one", "two")
    assert bot.pool.open_count == 1


async def test_a_runtime_that_takes_too_much_memory_is_renewed_and_threads_remember(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env.update(RUNTIME_MEMORY_MB="1")
    clock = OffsetClock()
    bot = await bots.start(clock)
    threads = [
        await slack.ask_in_new_thread("bob", "one"),
        await slack.ask_in_new_thread("carol", "two"),
    ]
    await slack.until_idle(bot)
    before = the_runtime(bots)
    clock.move_forward(CHECK_SECONDS)
    await until_another_runtime(slack, bots, before)
    await until_live(slack, bot, 0)
    for ts, person, text in zip(threads, ("bob", "carol"), ("one", "two"), strict=True):
        await slack.say(person, GENERAL, f"{text} again", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, f"You said: {text} again")
        assert model.requests[-1].prompts == (text, f"{text} again")


async def test_the_runtime_is_renewed_when_what_runs_has_ended_and_others_wait_for_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    bots.env.update(RUNTIME_MEMORY_MB="1", SILENCE_SECONDS="3600")
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    clock = OffsetClock()
    await bots.start(clock)
    other = await slack.ask_in_new_thread("carol", "hers")
    ts = await slack.say("bob", GENERAL, "@threadpilot first")
    await model.reached()
    before = the_runtime(bots)
    clock.move_forward(RESTART_INTERVAL_SECONDS)

    async def begun() -> bool:
        return "above its memory limit" in caplog.text

    await slack.wait_for(begun, why="the runtime is to be restarted")
    await slack.say("carol", GENERAL, "hers again", thread_ts=other)
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    await slack.until_shown(GENERAL, other, "You said: hers again")
    await until_another_runtime(slack, bots, before)
    assert [question_of(p) for p in model.requests[-1].prompts] == ["hers", "hers again"]


async def test_a_runtime_that_is_killed_costs_no_memory(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    small(bots, 2)
    await bots.start()
    threads = [await slack.ask_in_new_thread("bob", f"number {number}") for number in range(3)]
    before = the_runtime(bots)
    os.kill(before, signal.SIGKILL)

    async def noticed() -> bool:
        return "runtime gone:" in caplog.text

    await slack.wait_for(noticed, why="it is noticed")
    for number, ts in enumerate(threads):
        await slack.say("bob", GENERAL, f"and {number}", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, f"You said: and {number}")
        assert model.requests[-1].prompts == (f"number {number}", f"and {number}")
    await until_another_runtime(slack, bots, before)
