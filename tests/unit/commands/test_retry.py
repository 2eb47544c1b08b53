"""`retry`: which turn is answered anew, and when it is too early for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.access import quotas
from bot.commands.retry import Retrying
from bot.commands.texts import branch as branch_texts
from bot.domain.commands import Form, Order
from bot.domain.messages import Trigger, Wish
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Ending, Turn, TurnState
from tests.contracts.messages import said, ts_at
from tests.unit.commands.command_fixtures import ALICE, TEAM, World, orders_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        ask = world.desk._ask  # noqa: SLF001 # the questions that the desk's world takes down
        retrying = Retrying(world.store, world.choosing, ask=ask)
        world.handlers.update(retrying.handlers())
        yield world


def again(turn: Turn) -> Order:
    """What the button under a turn's reply gives."""
    thread = turn.message.thread
    return Order(
        key=f"press-{turn.id}",
        verb="retry",
        words="",
        by=ALICE,
        form=Form.BUTTON,
        team=TEAM,
        channel=thread.channel,
        thread=thread,
        turn=turn.id,
    )


async def test_a_turn_that_is_being_answered_is_not_answered_anew(world: World) -> None:
    turn = await world.asking(1)
    outcome = await world.carry_out(again(turn))
    assert outcome.card is not None
    assert outcome.card.text == branch_texts.NOT_FINISHED
    assert world.questions == []


@pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED])
async def test_a_button_counts_from_the_moment_that_it_stands_there(
    world: World, state: TurnState
) -> None:
    """The reply with its buttons is shown before the turn has ended on record."""
    turn = await world.asking(1)
    answer = "A language." if state is TurnState.DONE else ""
    assert await world.store.record(turn, Ending(state=state, answer=answer, note="Sorry."))
    outcome = await world.carry_out(again(turn))
    assert outcome.card is not None
    assert outcome.card.text == branch_texts.AGAIN
    assert [question.wish.again for question in world.questions] == [turn.id]
    assert world.questions[0] == replace(
        world.questions[0], text=turn.message.text, thread=turn.message.thread
    )


async def test_questions_that_were_written_after_it_are_not_forgotten_with_it(world: World) -> None:
    """They wait for the order, and are asked after the turn that it becomes."""
    turn = await world.asking(1)
    await world.store.record(turn, Ending(state=TurnState.DONE, answer="A language."))
    await world.store.finish(turn, TurnState.DONE)
    order = replace(again(turn), form=Form.MESSAGE, ts=ts_at(5), turn=None)
    assert await world.desk.take(order)
    await world.waits(6, root=1, text="And Rust?")
    outcome = await world.desk.carry_out(order)
    assert outcome.card.text == branch_texts.AGAIN
    assert [question.ts for question in world.questions] == [ts_at(5)]


async def test_a_question_that_was_written_before_it_would_be_forgotten_with_it(
    world: World,
) -> None:
    turn = await world.asking(1)
    await world.store.record(turn, Ending(state=TurnState.DONE, answer="A language."))
    await world.store.finish(turn, TurnState.DONE)
    await world.waits(4, root=1, text="And Rust?")
    order = replace(again(turn), form=Form.MESSAGE, ts=ts_at(5), turn=None)
    outcome = await world.carry_out(order)
    assert outcome.card.text == branch_texts.AGAIN_SURE.format(count=1)
    assert world.questions == []


async def test_what_was_to_be_answered_anew_by_somebody_else_at_the_same_time_is_not_once_more(
    world: World,
) -> None:
    """Also where the other one's answer is there already: nobody had seen that one."""
    turn = await world.asking(1)
    await world.store.record(turn, Ending(state=TurnState.DONE, answer="A language."))
    await world.store.finish(turn, TurnState.DONE)
    second = replace(again(turn), key="second")
    assert await world.desk.take(second)
    await world.clock.advance(1)
    anew = replace(said(3, root=1), wish=Wish(again=turn.id))
    await world.store.accept(replace(anew, trigger=Trigger.MENU))
    other = (await world.store.claim()).turn
    if other is None:  # it waits for the second order as any other turn would
        await world.store.release_order("second")
        other = (await world.store.claim()).turn
    assert other is not None
    await world.store.finish(other, TurnState.FAILED)
    outcome = await world.desk.carry_out(second)
    assert outcome.card.text == branch_texts.AGAIN_ALREADY
    assert world.questions == []


async def test_who_has_had_their_turns_has_nothing_answered_anew(world: World) -> None:
    turn = await world.asking(1)
    await world.store.record(turn, Ending(state=TurnState.DONE, answer="A language."))
    await world.store.finish(turn, TurnState.DONE)
    quota = Choice(scope=Scope.PERSON, holder=ALICE, topic=Topic.QUOTA, value="1", by=ALICE, at=1.0)
    await world.store.choose(quota)
    outcome = await world.carry_out(again(turn))
    assert outcome.card.text == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert world.questions == []
