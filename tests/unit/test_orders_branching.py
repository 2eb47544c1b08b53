"""`fork` while an answer runs: what the copy knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.cards import Outcome
from bot.orders.branching import Branching
from bot.sessions import Sessions
from tests.unit.inbox_world import until
from tests.unit.orders_world import Runtime, World, orders_world, thread_at


class Copying(Runtime):
    """A runtime that copies sessions, and takes down up to where."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: list[tuple[str, str]] = []

    async def fork(self, session_id: str, *, before: str = "", title: str = "") -> str:  # noqa: ARG002 # the port's
        self.copied.append((session_id, before))
        return f"copy-{len(self.copied)}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        world.runtime = Copying()
        pool = Sessions(world.runtime, size=1, wait_seconds=1)
        branching = Branching(
            *(world.store, world.runtime, pool, world.choosing, world.board, world.clock)
        )
        world.handlers.update(branching.handlers())
        yield world


def copied(world: World) -> list[tuple[str, str]]:
    assert isinstance(world.runtime, Copying)
    return world.runtime.copied


async def test_a_fork_waits_until_the_place_of_the_prompt_just_sent_is_on_record(
    world: World,
) -> None:
    """Else the copy would know a question that it never answered."""
    session = await world.asked(1)
    await world.waits(2, root=1, text="And Rust?")
    turn = (await world.store.claim()).turn
    assert turn is not None
    assert await world.store.begin(turn)
    forking = asyncio.create_task(world.order("fork", thread=thread_at(1)))
    await until(lambda: world.clock.sleeping > 0)
    assert copied(world) == []
    await world.store.remember(turn, session.number, "its-event")
    await world.clock.advance(1)
    assert isinstance(await forking, Outcome)
    assert copied(world) == [(session.id, "its-event")]


async def test_a_question_that_is_not_sent_yet_does_not_keep_a_fork_waiting(world: World) -> None:
    session = await world.asked(1)
    await world.waits(2, root=1, text="And Rust?")
    assert (await world.store.claim()).turn is not None
    await world.order("fork", thread=thread_at(1))
    assert copied(world) == [(session.id, "")]
