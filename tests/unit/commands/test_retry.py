"""`retry`: which turn is answered again, and when it is too early for that."""

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
    """The command of the button under a turn's reply."""
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
    result = await world.execute(again(turn))
    assert result.card is not None
    assert result.card.text == branch_texts.NOT_FINISHED
    assert world.questions == []


@pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED])
async def test_a_button_counts_from_the_moment_that_it_is_posted(
    world: CommandFixture, state: TurnState
) -> None:
    """The reply with its buttons is posted before the turn has ended in the store."""
    turn = await world.context_with(1)
    answer = "A language." if state is TurnState.DONE else ""
    assert await world.store.record_result(
        turn, TurnResult(state=state, answer=answer, note="Sorry.")
    )
    result = await world.execute(again(turn))
    assert result.card is not None
    assert result.card.text == branch_texts.RETRY
    assert [question.options.retry_of for question in world.questions] == [turn.id]
    assert world.questions[0] == replace(
        world.questions[0], text=turn.message.text, thread=turn.message.thread
    )


async def test_questions_that_were_written_after_it_are_not_forgotten_with_it(
    world: CommandFixture,
) -> None:
    """They wait for the command, and run after its turn."""
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    command = replace(again(turn), source=CommandSource.MESSAGE, ts=ts_at(5), turn=None)
    assert await world.dispatcher.record(command)
    await world.enqueue_turn(6, root=1, text="And Rust?")
    result = await world.dispatcher.execute(command)
    assert result.card.text == branch_texts.RETRY
    assert [question.ts for question in world.questions] == [ts_at(5)]


async def test_a_question_that_was_written_before_it_would_be_forgotten_with_it(
    world: CommandFixture,
) -> None:
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    await world.enqueue_turn(4, root=1, text="And Rust?")
    command = replace(again(turn), source=CommandSource.MESSAGE, ts=ts_at(5), turn=None)
    result = await world.execute(command)
    assert result.card.text == branch_texts.RETRY_CONFIRM.format(count=1)
    assert world.questions == []


async def test_a_reply_that_another_user_retries_at_the_same_time_is_not_retried_twice(
    world: CommandFixture,
) -> None:
    """Even if the other one is answered already: its user had not seen that answer."""
    turn = await world.context_with(1)
    await world.store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A language."))
    await world.store.finish_turn(turn, TurnState.DONE)
    second = replace(again(turn), key="second")
    assert await world.dispatcher.record(second)
    await world.clock.advance(1)
    retried = replace(make_message(3, root=1), options=MessageOptions(retry_of=turn.id))
    await world.store.accept_message(replace(retried, trigger=Trigger.REPLY_ACTION))
    other = (await world.store.claim()).turn
    if other is None:  # it waits for the second order as any other turn would
        await world.store.release_hold("second")
        other = (await world.store.claim()).turn
    assert other is not None
    await world.store.finish_turn(other, TurnState.FAILED)
    result = await world.dispatcher.execute(second)
    assert result.card.text == branch_texts.RETRY_PENDING
    assert world.questions == []


async def test_a_user_without_turns_left_cannot_retry(world: CommandFixture) -> None:
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
    result = await world.execute(again(turn))
    assert result.card.text == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert world.questions == []
