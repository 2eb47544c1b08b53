"""`retry`: which turn is answered anew, and when it is too early for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.model import Ending, Turn, TurnState
from bot.orders import words_branching as words
from bot.orders.retrying import Retrying
from bot.records import Form, Order
from tests.unit.orders_world import ALICE, TEAM, World, orders_world


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
    assert outcome.card.text == words.NOT_FINISHED
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
    assert outcome.card.text == words.AGAIN
    assert [question.wish.again for question in world.questions] == [turn.id]
    assert world.questions[0] == replace(
        world.questions[0], text=turn.message.text, thread=turn.message.thread
    )
