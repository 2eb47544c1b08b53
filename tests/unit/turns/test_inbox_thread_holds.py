"""A turn waits for the orders of its thread that were given before it: it is shown as waiting, it
begins as soon as they are carried out, and after a bounded time in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.turns import TurnState
from bot.turns.inbox import LOOK_SECONDS
from tests.contracts.messages import BEGIN, said, ts_at
from tests.contracts.thread_holds import an_order, held
from tests.unit.turns.inbox_fixtures import World, until, world_in


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


async def hold(world: World, second: float, *, seconds: float = 300.0) -> str:
    """An order in the thread that begins at second 1."""
    order = an_order(second)
    lasting = held(second, until=world.clock.now() - BEGIN + seconds)
    assert await world.store.accept_order(order, lasting)
    return order.key


async def test_it_waits_shown_so_and_begins_as_soon_as_the_order_is_carried_out(
    world: World,
) -> None:
    """Without anybody looking for it half a minute later."""
    key = await hold(world, 2)
    async with world.inbox.running():
        await world.inbox.accept(said(3, root=1))
        await world.passing(lambda: ("mark", ts_at(3)) in world.slack.shown)
        assert world.handler.taken == []
        await world.store.release_order(key)
        world.inbox.look_again()
        assert await world.ended(said(3, root=1)) is TurnState.DONE
    assert world.clock.monotonic() < LOOK_SECONDS


async def test_others_go_on_meanwhile(world: World) -> None:
    await hold(world, 2)
    async with world.inbox.running():
        await world.inbox.accept(said(3, root=1))
        for second in (10, 20, 30):
            await world.inbox.accept(said(second))
            assert await world.ended(said(second)) is TurnState.DONE
        assert await world.state(said(3, root=1)) is TurnState.WAITING


async def test_one_that_was_begun_with_gives_way_to_an_order_that_comes_late(world: World) -> None:
    late = said(3, root=1, text="hold, then give way")
    async with world.inbox.running():
        await world.inbox.accept(late)
        await until(lambda: world.inbox.busy == 1)
        key = await hold(world, 2)
        world.handler.let_go.set()
        await until(lambda: world.inbox.busy == 0)
        assert await world.state(late) is TurnState.WAITING
        await world.store.finish_order(key)
        world.inbox.look_again()
        assert await world.ended(late) is TurnState.DONE
    assert len(world.handler.taken) == 2


async def test_an_order_that_hangs_is_not_waited_for_without_end(world: World) -> None:
    await hold(world, 2, seconds=60)
    async with world.inbox.running():
        await world.inbox.accept(said(3, root=1))
        async with asyncio.timeout(20):
            while not world.handler.taken:
                await world.clock.advance(1)
                await asyncio.sleep(0.002)
        assert world.clock.monotonic() >= 60
        assert await world.ended(said(3, root=1)) is TurnState.DONE


async def test_at_the_next_start_it_waits_still(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        key = await hold(world, 2)
        await world.inbox.accept(said(3, root=1))
    async with world_in(tmp_path) as world:
        await world.store.renew_holds(world.clock.now() + 300)
        async with world.inbox.running():
            await world.inbox.accept(said(10))
            assert await world.ended(said(10)) is TurnState.DONE
            assert await world.state(said(3, root=1)) is TurnState.WAITING
            await world.store.release_order(key)
            world.inbox.look_again()
            assert await world.ended(said(3, root=1)) is TurnState.DONE
