"""A turn waits for earlier commands of its thread, for a bounded time, and is marked as queued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.turns import TurnState
from bot.turns.inbox import POLL_SECONDS
from tests.contracts.messages import BEGIN, make_message, ts_at
from tests.contracts.thread_holds import command, held_message
from tests.unit.turns.inbox_fixtures import InboxFixture, inbox_fixture, wait_until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


async def hold(world: InboxFixture, second: float, *, seconds: float = 300.0) -> str:
    """A command in the thread of the message at second 1."""
    held = command(second)
    lasting = held_message(second, until=world.clock.now() - BEGIN + seconds)
    assert await world.store.accept_command(held, lasting)
    return held.key


async def test_a_turn_is_marked_and_starts_when_the_command_is_done(
    world: InboxFixture,
) -> None:
    """At once, not with the next poll half a minute later."""
    key = await hold(world, 2)
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(3, root=1))
        await world.wait_until(lambda: ("mark", ts_at(3)) in world.slack.shown)
        assert world.handler.processed == []
        await world.store.release_hold(key)
        world.inbox.wake()
        assert await world.ended(make_message(3, root=1)) is TurnState.DONE
    assert world.clock.monotonic() < POLL_SECONDS


async def test_other_threads_are_not_held(world: InboxFixture) -> None:
    await hold(world, 2)
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(3, root=1))
        for second in (10, 20, 30):
            await world.inbox.enqueue(make_message(second))
            assert await world.ended(make_message(second)) is TurnState.DONE
        assert await world.state(make_message(3, root=1)) is TurnState.WAITING


async def test_a_started_turn_is_requeued_for_a_late_command(
    world: InboxFixture,
) -> None:
    late = make_message(3, root=1, text="hold, then give way")
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(late)
        await wait_until(lambda: world.inbox.running_count == 1)
        key = await hold(world, 2)
        world.handler.released.set()
        await wait_until(lambda: world.inbox.running_count == 0)
        assert await world.state(late) is TurnState.WAITING
        await world.store.finish_command(key)
        world.inbox.wake()
        assert await world.ended(late) is TurnState.DONE
    assert len(world.handler.processed) == 2


async def test_a_hanging_command_holds_a_turn_for_a_bounded_time(world: InboxFixture) -> None:
    await hold(world, 2, seconds=60)
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(3, root=1))
        async with asyncio.timeout(20):
            while not world.handler.processed:
                await world.clock.advance(1)
                await asyncio.sleep(0.002)
        assert world.clock.monotonic() >= 60
        assert await world.ended(make_message(3, root=1)) is TurnState.DONE


async def test_a_held_turn_still_waits_after_a_restart(tmp_path: Path) -> None:
    async with inbox_fixture(tmp_path) as world:
        key = await hold(world, 2)
        await world.inbox.enqueue(make_message(3, root=1))
    async with inbox_fixture(tmp_path) as world:
        await world.store.renew_holds(world.clock.now() + 300)
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(10))
            assert await world.ended(make_message(10)) is TurnState.DONE
            assert await world.state(make_message(3, root=1)) is TurnState.WAITING
            await world.store.release_hold(key)
            world.inbox.wake()
            assert await world.ended(make_message(3, root=1)) is TurnState.DONE
