"""Limits: who may have another turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.access import quotas
from bot.access.quotas import Limit, Limits
from bot.domain.preferences import Choice, Scope, Topic
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, World, orders_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        yield world


async def choose(world: World, user: str, topic: Topic, value: str) -> None:
    await world.store.choose(
        Choice(scope=Scope.PERSON, holder=user, topic=topic, value=value, by=ADA, at=1.0)
    )


async def test_without_a_limit_everybody_may_ask_as_much_as_they_like(world: World) -> None:
    for second in range(1, 6):
        await world.asked(second)
    assert await Limits(world.store, world.clock, per_day=0).refusal(ALICE) == ""


async def test_who_has_had_their_turns_gets_a_sentence_until_a_day_has_passed(
    world: World,
) -> None:
    bounds = Limits(world.store, world.clock, per_day=2)
    await world.asked(1)
    assert await bounds.refusal(ALICE) == ""
    await world.clock.advance(3_600)
    await world.asked(2)
    assert await bounds.refusal(ALICE) == quotas.USED_UP.format(turns="2 turns")
    assert await bounds.refusal(BOB) == ""
    await world.clock.advance(quotas.DAY_SECONDS - 3_599)
    assert await bounds.refusal(ALICE) == ""


async def test_ones_own_number_counts_instead(world: World) -> None:
    bounds = Limits(world.store, world.clock, per_day=5)
    await choose(world, ALICE, Topic.QUOTA, "1")
    await world.asked(1)
    assert await bounds.refusal(ALICE) == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert await bounds.of(ALICE) == Limit(per_day=1, own=True)

    await choose(world, ALICE, Topic.QUOTA, "0")
    assert await bounds.refusal(ALICE) == ""
    assert await bounds.of(BOB) == Limit(per_day=5)


async def test_who_is_blocked_gets_no_turn(world: World) -> None:
    bounds = Limits(world.store, world.clock, per_day=0)
    await choose(world, BOB, Topic.BLOCKED, "yes")
    assert await bounds.refusal(BOB) == quotas.BLOCKED
    assert await bounds.refusal(ALICE) == ""
    await world.store.unchoose(Scope.PERSON, BOB, Topic.BLOCKED)
    assert await bounds.refusal(BOB) == ""


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "9" * 30])
async def test_a_number_that_is_none_does_not_count(world: World, value: str) -> None:
    await choose(world, ALICE, Topic.QUOTA, value)
    assert await Limits(world.store, world.clock, per_day=7).of(ALICE) == Limit(per_day=7)
