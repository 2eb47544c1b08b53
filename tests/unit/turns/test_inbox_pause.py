"""A paused inbox accepts messages and starts no turns; the queue of a thread can be cleared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.turns import TurnState
from bot.turns.inbox import PAUSED, QUEUE_CLEARED
from tests.contracts.messages import make_message, ts_at
from tests.unit.turns.inbox_fixtures import InboxFixture, inbox_fixture, wait_until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


async def test_messages_are_queued_while_paused_and_their_authors_are_notified(
    world: InboxFixture,
) -> None:
    async with world.inbox.dispatch_turns():
        world.inbox.pause_turns()
        await world.inbox.enqueue(make_message(1))
        await world.wait_until(lambda: ("mark", ts_at(1)) in world.slack.shown)
        await wait_until(lambda: (PAUSED, ts_at(1)) in world.slack.shown)
        assert world.inbox.paused
        assert world.handler.processed == []
        world.inbox.resume_turns()
        assert await world.ended(make_message(1)) is TurnState.DONE
        await world.inbox.enqueue(make_message(2))
        assert await world.ended(make_message(2)) is TurnState.DONE
    assert (PAUSED, ts_at(2)) not in world.slack.shown


async def test_running_turns_continue_after_a_pause(world: InboxFixture) -> None:
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text="hold"))
        await wait_until(lambda: world.inbox.running_count == 1)
        world.inbox.pause_turns()
        idle = asyncio.create_task(world.inbox.wait_until_idle(60))
        world.handler.released.set()
        assert await idle
        assert await world.ended(make_message(1)) is TurnState.DONE


async def test_waiting_until_idle_ends_with_its_timeout(world: InboxFixture) -> None:
    async with world.inbox.dispatch_turns():
        assert await world.inbox.wait_until_idle(60), "nothing runs"
        await world.inbox.enqueue(make_message(1, text="hold"))
        await wait_until(lambda: world.inbox.running_count == 1)
        idle = asyncio.create_task(world.inbox.wait_until_idle(60))
        await wait_until(lambda: world.clock.sleeping >= 1)
        await world.clock.advance(61)
        assert not await idle
        world.handler.released.set()


async def test_waiting_until_idle_ends_when_turns_are_resumed(world: InboxFixture) -> None:
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text="hold"))
        await wait_until(lambda: world.inbox.running_count == 1)
        world.inbox.pause_turns()
        idle = asyncio.create_task(world.inbox.wait_until_idle(3_600))
        await asyncio.sleep(0)
        world.inbox.resume_turns()
        assert not await idle
        world.handler.released.set()


async def test_the_queue_of_a_thread_can_be_cleared(world: InboxFixture) -> None:
    """The running turn continues, and other threads keep their queues."""
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text="hold"))
        await wait_until(lambda: world.inbox.running_count == 1)
        waiting = [make_message(second, root=1) for second in (2, 3)]
        for message in (*waiting, replace(make_message(4), user="U0BOB", text="hold")):
            await world.inbox.enqueue(message)
        for second in (5, 6):
            waiting.append(replace(make_message(second, root=1), user="U0CAROL"))
            await world.inbox.enqueue(waiting[-1])
        assert await world.inbox.drop_waiting(make_message(1).thread, "U0CAROL") == 4
        assert await world.inbox.drop_waiting(make_message(1).thread) == 0
        for message in waiting:
            assert await world.state(message) is TurnState.WITHDRAWN
        await wait_until(lambda: (QUEUE_CLEARED, waiting[0].ts) in world.slack.shown)
        notified = [ts for text, ts in world.slack.shown if text == QUEUE_CLEARED]
        assert notified == [waiting[0].ts], "each author once, and not the one who did it"
        world.handler.released.set()
        assert await world.ended(make_message(1)) is TurnState.DONE
        assert await world.ended(make_message(4)) is TurnState.DONE
