"""Tests `kill -9` at every step of a turn: the next bot settles every message exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.turns import TurnState
from bot.store.sqlite.store import SqliteStore
from tests.chaos.crash_fixtures import CrashFixture, crash_fixture
from tests.chaos.crashing_bot import ACKNOWLEDGE, CrashingBot, CrashPoint, Step, commit_of
from tests.chaos.scripts import Script, a_command, a_long_answer, one_person, two_people
from tests.scripted_model import ScriptedModel


@pytest.fixture
async def fixture(tmp_path: Path) -> AsyncIterator[CrashFixture]:
    async with ScriptedModel() as model, crash_fixture(model, tmp_path) as fixture:
        yield fixture


async def killed(fixture: CrashFixture, script: Script, death: CrashPoint) -> CrashingBot:
    """Play a script to a bot that kills itself; return the dead bot."""
    bot = await fixture.start(death, watched=False)
    assert bot.alive, bot.stderr
    bot.watch()
    await script(fixture, bot)
    await bot.ended()
    assert bot.killed, (bot.status, bot.stderr)
    assert death.step in bot.steps, bot.steps
    return bot


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(commit_of(SqliteStore.accept_message), id="accepted"),
        pytest.param(Step(ACKNOWLEDGE), id="acknowledged"),
        pytest.param(commit_of(SqliteStore.claim), id="claimed"),
        pytest.param(Step("runtime session.create"), id="session opened"),
        pytest.param(commit_of(SqliteStore.record_result), id="ending on record"),
        pytest.param(Step("chat.stopStream"), id="stream closed but not recorded"),
        pytest.param(commit_of(SqliteStore.finish_turn), id="recorded"),
    ],
)
async def test_killed_before_its_prompt_or_with_its_ending_on_record_a_turn_is_answered(
    fixture: CrashFixture, step: Step
) -> None:
    await killed(fixture, one_person, CrashPoint(step, "after"))
    await fixture.wait_and_retry()
    assert {fixture.state_of(question) for question in fixture.questions} == {TurnState.DONE}


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(commit_of(SqliteStore.mark_prompted), id="about to send the prompt"),
        pytest.param(Step("runtime session.send"), id="prompt sent"),
        pytest.param(commit_of(SqliteStore.append_history), id="prompt taken"),
        pytest.param(Step("chat.startStream"), id="stream open"),
        pytest.param(Step("chat.appendStream"), id="mid-stream"),
    ],
)
async def test_killed_while_it_is_answered_a_turn_is_answered_once_or_can_be_retried(
    fixture: CrashFixture, step: Step
) -> None:
    await killed(fixture, one_person, CrashPoint(step, "after"))
    await fixture.wait_and_retry()


async def test_killed_between_two_messages_of_a_long_answer_none_is_posted_twice(
    fixture: CrashFixture,
) -> None:
    await killed(fixture, a_long_answer, CrashPoint(Step("chat.startStream", 2), "after"))
    await fixture.wait_and_retry()


async def test_killed_while_the_last_of_several_messages_is_closed_the_answer_is_whole(
    fixture: CrashFixture,
) -> None:
    await killed(fixture, a_long_answer, CrashPoint(Step("chat.stopStream", 2), "before"))
    await fixture.wait_and_retry()
    assert {fixture.state_of(question) for question in fixture.questions} == {TurnState.DONE}


@pytest.mark.parametrize("step", [Step("chat.postMessage"), Step("chat.update")], ids=str)
async def test_killed_while_an_answer_comes_by_edits_it_is_not_posted_twice(
    fixture: CrashFixture, step: Step
) -> None:
    await killed(fixture, two_people, CrashPoint(step, "after"))
    await fixture.wait_and_retry()


async def test_killed_when_a_commands_question_is_in_the_channel_it_is_answered_there_once(
    fixture: CrashFixture,
) -> None:
    await killed(fixture, a_command, CrashPoint(Step("chat.postMessage"), "after"))
    await fixture.wait_and_retry()


@pytest.mark.parametrize(
    "step",
    [commit_of(SqliteStore.recover), Step("chat.update"), commit_of(SqliteStore.finish_turn)],
    ids=str,
)
async def test_killed_again_while_it_recovers_what_the_first_death_left_nothing_is_posted_twice(
    fixture: CrashFixture, step: Step
) -> None:
    await killed(fixture, one_person, CrashPoint(Step("chat.appendStream"), "after"))
    second = await fixture.start(CrashPoint(step, "after"))
    await second.ended()
    assert second.killed, (second.status, second.stderr)
    await fixture.wait_and_retry()
