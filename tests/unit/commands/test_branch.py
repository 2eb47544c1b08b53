"""`fork` while a turn runs: what the copy knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.access import quotas
from bot.commands.branch import HOUR_SECONDS, MAX_FORKS_PER_HOUR, BranchCommands
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import CommandResult
from bot.domain.messages import ts_position
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.sessions.pool import SessionPool
from tests.contracts.messages import ts_at
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    CommandFixture,
    FakeAgent,
    command_fixture,
    thread_at,
)
from tests.unit.turns.inbox_fixtures import wait_until


class Copying(FakeAgent):
    """An agent that copies sessions, and records up to where."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: list[tuple[str, str]] = []

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:  # noqa: ARG002 # the port's
        self.copied.append((session_id, before))
        return f"copy-{len(self.copied)}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        world.runtime = Copying()
        pool = SessionPool(world.runtime, size=1, wait_seconds=1)
        branching = BranchCommands(
            *(world.store, world.runtime, pool, world.choosing, world.publisher, world.clock)
        )
        world.handlers.update(branching.handlers())
        yield world


def copied(world: CommandFixture) -> list[tuple[str, str]]:
    assert isinstance(world.runtime, Copying)
    return world.runtime.copied


async def test_a_fork_does_not_know_questions_after_its_command(
    world: CommandFixture,
) -> None:
    session = await world.context_for(1)
    await world.context_for(2, root=1)
    await world.context_for(6, root=1)
    await world.run_command("fork", thread=thread_at(1), ts=ts_at(4))
    await world.run_command("fork", thread=thread_at(1), ts=ts_at(7))
    later = await world.store.history_entry_after_position(session.number, ts_position(ts_at(4)))
    assert later is not None
    assert copied(world) == [(session.id, later.event_id), (session.id, "")]


async def test_forks_per_user_and_hour_are_limited(world: CommandFixture) -> None:
    await world.context_for(1)
    for _ in range(MAX_FORKS_PER_HOUR):
        assert (await world.run_command("fork", thread=thread_at(1))).public
    for _ in range(100):
        result = await world.run_command("fork", thread=thread_at(1))
        assert result.card.text == branch_texts.FORKS_USED_UP.format(count=MAX_FORKS_PER_HOUR)
    assert len(copied(world)) == MAX_FORKS_PER_HOUR
    assert (await world.run_command("fork", thread=thread_at(1), by=BOB)).public, "others may"
    await world.clock.advance(HOUR_SECONDS + 1)
    assert (await world.run_command("fork", thread=thread_at(1))).public


async def test_of_simultaneous_forks_of_one_user_one_is_made(world: CommandFixture) -> None:
    await world.context_for(1)
    forks = [world.run_command("fork", thread=thread_at(1)) for _ in range(5)]
    texts_shown = [result.card.text for result in await asyncio.gather(*forks)]
    assert texts_shown.count(branch_texts.ONE_FORK_AT_A_TIME) == 4
    assert len(copied(world)) == 1


async def test_a_refused_user_may_not_fork(world: CommandFixture) -> None:
    await world.context_for(1)
    quota = Preference(
        scope=Scope.USER,
        scope_id=ALICE,
        kind=PreferenceKind.QUOTA,
        value="1",
        set_by=ADA,
        set_at=1.0,
    )
    await world.store.set_preference(quota)
    result = await world.run_command("fork", thread=thread_at(1))
    assert result.card.text == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert copied(world) == []


async def test_a_fork_waits_until_a_sent_prompt_is_recorded(
    world: CommandFixture,
) -> None:
    """Else the copy would know a question that it never answered."""
    session = await world.context_for(1)
    await world.enqueue_turn(2, root=1, text="And Rust?")
    turn = (await world.store.claim()).turn
    assert turn is not None
    assert await world.store.mark_prompted(turn)
    forking = asyncio.create_task(world.run_command("fork", thread=thread_at(1)))
    await wait_until(lambda: world.clock.sleeping > 0)
    assert copied(world) == []
    await world.store.append_history(turn, session.number, "its-event")
    await world.clock.advance(1)
    assert isinstance(await forking, CommandResult)
    assert copied(world) == [(session.id, "its-event")]


async def test_a_question_that_is_not_sent_yet_does_not_keep_a_fork_waiting(
    world: CommandFixture,
) -> None:
    session = await world.context_for(1)
    await world.enqueue_turn(2, root=1, text="And Rust?")
    assert (await world.store.claim()).turn is not None
    await world.run_command("fork", thread=thread_at(1))
    assert copied(world) == [(session.id, "")]
