"""`retry`: which turn is answered anew, and when it is too early for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.access import quotas
from bot.commands.retry import RetryCommand
from bot.commands.texts import branch as branch_texts
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import MessageOptions, Trigger
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.turns import Turn, TurnResult, TurnState
from tests.contracts.messages import make_message, ts_at
from tests.unit.commands.command_fixtures import ALICE, TEAM, CommandFixture, command_fixture


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        retrying = RetryCommand(world.store, world.choosing, enqueue=world.enqueue)
        world.handlers.update(retrying.handlers())
        yield world


def again(turn: Turn) -> Command:
    """What the button under a turn's reply gives."""
    thread = turn.message.thread
    return Command(
        key=f"press-{turn.id}",
        name="retry",
        args="",
        user=ALICE,
        source=CommandSource.BUTTON,
        team=TEAM,
        channel=thread.channel,
        thread=thread,
        turn=turn.id,
    )


async def test_a_turn_that_is_being_answered_is_not_answered_again(world: CommandFixture) -> None:
    turn = await world.context_with(1)
    outcome = await world.execute(again(turn))
    assert outcome.card is not None
    assert outcome.card.text == branch_texts.NOT_FINISHED
    assert world.questions == []


@pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED])
async def test_a_button_counts_from_the_moment_that_it_stands_there(
    world: CommandFixture, state: TurnState
) -> None:
    """The reply with its buttons is shown before the turn has ended on record."""
    turn = await world.context_with(1)
    answer = "A language." if state is TurnState.DONE else ""
    assert await world.store.record_result(
        turn, TurnResult(state=state, answer=answer, note="Sorry.")
    )
    outcome = await world.execute(again(turn))
    assert outcome.card is not None
    assert outcome.card.text == branch_texts.RETRY
    assert [question.options.retry_of for question in world.questions] == [turn.id]
    assert world.questions[0] == replace(
        world.questions[0], text=turn.message.text, thread=turn.message.thread
    )


async def test_questions_that_were_written_after_it_are_not_forgotten_with_it(
    world: CommandFixture,
) -> None:
    """They wait for the order, and are asked after the turn that it becomes."""
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    order = replace(again(turn), source=CommandSource.MESSAGE, ts=ts_at(5), turn=None)
    assert await world.desk.record(order)
    await world.enqueue_turn(6, root=1, text="And Rust?")
    outcome = await world.desk.execute(order)
    assert outcome.card.text == branch_texts.RETRY
    assert [question.ts for question in world.questions] == [ts_at(5)]


async def test_a_question_that_was_written_before_it_would_be_forgotten_with_it(
    world: CommandFixture,
) -> None:
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    await world.enqueue_turn(4, root=1, text="And Rust?")
    order = replace(again(turn), source=CommandSource.MESSAGE, ts=ts_at(5), turn=None)
    outcome = await world.execute(order)
    assert outcome.card.text == branch_texts.RETRY_CONFIRM.format(count=1)
    assert world.questions == []


async def test_what_was_to_be_answered_again_by_somebody_else_at_the_same_time_is_not_once_more(
    world: CommandFixture,
) -> None:
    """Also where the other one's answer is there already: nobody had seen that one."""
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    second = replace(again(turn), key="second")
    assert await world.desk.record(second)
    await world.clock.advance(1)
    anew = replace(make_message(3, root=1), options=MessageOptions(retry_of=turn.id))
    await world.store.accept_message(replace(anew, trigger=Trigger.REPLY_ACTION))
    other = (await world.store.claim()).turn
    if other is None:  # it waits for the second order as any other turn would
        await world.store.release_hold("second")
        other = (await world.store.claim()).turn
    assert other is not None
    await world.store.finish_turn(other, TurnState.FAILED)
    outcome = await world.desk.execute(second)
    assert outcome.card.text == branch_texts.RETRY_PENDING
    assert world.questions == []


async def test_who_has_had_their_turns_has_nothing_answered_again(world: CommandFixture) -> None:
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    quota = Preference(
        scope=Scope.USER,
        scope_id=ALICE,
        kind=PreferenceKind.QUOTA,
        value="1",
        set_by=ALICE,
        set_at=1.0,
    )
    await world.store.set_preference(quota)
    outcome = await world.execute(again(turn))
    assert outcome.card.text == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert world.questions == []
