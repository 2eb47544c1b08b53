"""The prompt of a turn is put together while its session is being opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey, Trigger
from bot.domain.sessions import SessionRecord
from bot.domain.turns import Turn
from bot.domain.users import Kind
from bot.errors import SlackError
from bot.ports import Earlier, Said
from bot.store.sqlite.store import open_store
from bot.turns.prompt import NOT_READ, Quoting
from tests.contracts.messages import said, ts_at
from tests.contracts.store_fixtures import claimed
from tests.fakes import HandClock
from tests.unit.commands.command_fixtures import People
from tests.unit.turns.inbox_fixtures import until


@dataclass
class Slack:
    """Slack's side: one earlier message, told when it is let go."""

    asked: list[str] = field(default_factory=list)
    """After which `ts` it was asked, once each time."""
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    down: bool = False

    async def earlier(self, thread: ThreadKey, *, after: str, before: str, most: int) -> Earlier:  # noqa: ARG002 # the port's
        self.asked.append(after)
        await self.let_go.wait()
        if self.down:
            raise SlackError("unreachable")
        root = Said(ts=thread.root_ts, user="U0BOB", name="Bob", kind=Kind.MEMBER, text="The root")
        return Earlier(root=root, newest=(), left_out=0)


@dataclass
class World:
    quoting: Quoting
    slack: Slack
    turn: Turn
    session: SessionRecord


@asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    """A turn that was asked for in the middle of a thread."""
    slack = Slack()
    async with open_store(folder, clock=HandClock(), per_user=3) as store:
        await store.accept(said(2, root=1, trigger=Trigger.MENTION))
        turn = await claimed(store)
        session = await store.session_for(turn)
        yield World(Quoting(store, slack, People(), most=10), slack, turn, session)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


async def test_slack_is_asked_before_anybody_wants_the_prompt(world: World) -> None:
    async with world.quoting.prompting(world.turn, world.session) as prompt:
        await until(lambda: len(world.slack.asked) == 1)
        world.slack.let_go.set()
        assert "The root" in await prompt(world.session)
    assert world.slack.asked == [""]


async def test_where_the_session_changed_meanwhile_it_is_put_together_anew(world: World) -> None:
    world.slack.let_go.set()
    changed = replace(world.session, seen_ts=ts_at(1.5))
    async with world.quoting.prompting(world.turn, world.session) as prompt:
        await until(lambda: len(world.slack.asked) == 1)
        await prompt(changed)
    assert world.slack.asked == ["", ts_at(1.5)]


async def test_trouble_with_slack_leaves_the_earlier_messages_out(world: World) -> None:
    world.slack.down = True
    world.slack.let_go.set()
    async with world.quoting.prompting(world.turn, world.session) as prompt:
        assert NOT_READ in await prompt(world.session)


async def test_who_does_not_come_to_the_prompt_does_not_wait_for_slack(world: World) -> None:
    async with world.quoting.prompting(world.turn, world.session):
        await until(lambda: len(world.slack.asked) == 1)
    assert not world.slack.let_go.is_set()
