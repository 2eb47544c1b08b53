"""`kill -9` of the bot at every step of a turn: the next one brings every message to its one
outcome, and nothing is answered twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.turns import TurnState
from tests.chaos.crash_fixtures import CrashFixture, crash_fixture
from tests.chaos.crashing_bot import ACKNOWLEDGE, CrashingBot, CrashPoint, Step
from tests.chaos.scripts import Script, a_command, a_long_answer, one_person, two_people
from tests.scripted_model import ScriptedModel


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[CrashFixture]:
    async with ScriptedModel() as model, crash_fixture(model, tmp_path) as place:
        yield place


async def killed(place: CrashFixture, script: Script, death: CrashPoint) -> CrashingBot:
    """The bot as it died under people's hands."""
    bot = await place.start(death, watched=False)
    assert bot.alive, bot.said
    bot.watch()
    await script(place, bot)
    await bot.ended()
    assert bot.killed, (bot.status, bot.said)
    assert death.step in bot.steps, bot.steps
    return bot


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step("commit accept_message"), id="accepted"),
        pytest.param(Step(ACKNOWLEDGE), id="acknowledged"),
        pytest.param(Step("commit claim"), id="claimed"),
        pytest.param(Step("runtime session.create"), id="session opened"),
        pytest.param(Step("commit record_result"), id="ending on record"),
        pytest.param(Step("chat.stopStream"), id="stream closed but not recorded"),
        pytest.param(Step("commit finish_turn"), id="recorded"),
    ],
)
async def test_killed_before_its_prompt_or_with_its_ending_on_record_a_turn_is_answered(
    place: CrashFixture, step: Step
) -> None:
    await killed(place, one_person, CrashPoint(step, "after"))
    await place.wait_and_retry()
    assert [place.state_of(asked) for asked in place.asked] == [TurnState.DONE] * len(place.asked)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step("commit mark_prompted"), id="about to send the prompt"),
        pytest.param(Step("runtime session.send"), id="prompt sent"),
        pytest.param(Step("commit append_history"), id="prompt taken"),
        pytest.param(Step("chat.startStream"), id="stream open"),
        pytest.param(Step("chat.appendStream"), id="mid-stream"),
    ],
)
async def test_killed_while_it_is_answered_a_turn_is_answered_once_or_can_be_asked_again(
    place: CrashFixture, step: Step
) -> None:
    await killed(place, one_person, CrashPoint(step, "after"))
    await place.wait_and_retry()


async def test_killed_between_two_messages_of_a_long_answer_none_stands_there_twice(
    place: CrashFixture,
) -> None:
    await killed(place, a_long_answer, CrashPoint(Step("chat.startStream", 2), "after"))
    await place.wait_and_retry()


async def test_killed_while_the_last_of_several_messages_is_closed_the_answer_is_whole(
    place: CrashFixture,
) -> None:
    await killed(place, a_long_answer, CrashPoint(Step("chat.stopStream", 2), "before"))
    await place.wait_and_retry()
    assert [place.state_of(asked) for asked in place.asked] == [TurnState.DONE] * len(place.asked)


@pytest.mark.parametrize("step", [Step("chat.postMessage"), Step("chat.update")], ids=str)
async def test_killed_while_an_answer_comes_by_edits_it_is_not_posted_twice(
    place: CrashFixture, step: Step
) -> None:
    await killed(place, two_people, CrashPoint(step, "after"))
    await place.wait_and_retry()


async def test_killed_when_a_commands_question_stands_in_the_channel_it_is_answered_there_once(
    place: CrashFixture,
) -> None:
    await killed(place, a_command, CrashPoint(Step("chat.postMessage"), "after"))
    await place.wait_and_retry()


@pytest.mark.parametrize(
    "step",
    [Step("commit recover"), Step("chat.update"), Step("commit finish_turn")],
    ids=str,
)
async def test_killed_again_while_it_recovers_what_the_first_death_left_nothing_is_said_twice(
    place: CrashFixture, step: Step
) -> None:
    await killed(place, one_person, CrashPoint(Step("chat.appendStream"), "after"))
    second = await place.start(CrashPoint(step, "after"))
    await second.ended()
    assert second.killed, (second.status, second.said)
    await place.wait_and_retry()
