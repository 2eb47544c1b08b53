"""The prompt of a turn is built while its session is being opened."""

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
from bot.domain.users import UserKind
from bot.errors import SlackError
from bot.ports import ThreadExcerpt, ThreadMessage
from bot.store.sqlite.store import open_store
from bot.turns.prompt import NOT_READ, PromptBuilder
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import claimed
from tests.fakes import ManualClock
from tests.unit.commands.command_fixtures import FakeUserDirectory
from tests.unit.turns.inbox_fixtures import wait_until


@dataclass
class Slack:
    """Thread history with one earlier message, returned when the test releases it."""

    calls: list[str] = field(default_factory=list)
    """After which `ts` it was asked, once each time."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    down: bool = False

    async def fetch_excerpt(
        self,
        thread: ThreadKey,
        *,
        after: str,
        before: str,  # noqa: ARG002 (the port's)
        max_messages: int,  # noqa: ARG002 (the port's)
    ) -> ThreadExcerpt:
        self.calls.append(after)
        await self.released.wait()
        if self.down:
            raise SlackError("unreachable")
        root = ThreadMessage(
            ts=thread.root_ts, user="U0BOB", name="Bob", kind=UserKind.MEMBER, text="The root"
        )
        return ThreadExcerpt(root=root, newest=(), omitted_count=0)


@dataclass
class PromptFixture:
    prompt_builder: PromptBuilder
    slack: Slack
    turn: Turn
    session: SessionRecord


@asynccontextmanager
async def prompt_fixture(folder: Path) -> AsyncIterator[PromptFixture]:
    """A turn that was asked for in the middle of a thread."""
    slack = Slack()
    async with open_store(folder, clock=ManualClock(), max_running_per_user=3) as store:
        await store.accept_message(make_message(2, root=1, trigger=Trigger.MENTION))
        turn = await claimed(store)
        session = await store.ensure_session(turn)
        yield PromptFixture(
            PromptBuilder(store, slack, FakeUserDirectory(), max_messages=10), slack, turn, session
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PromptFixture]:
    async with prompt_fixture(tmp_path) as world:
        yield world


async def test_the_request_to_slack_starts_before_the_prompt_is_awaited(
    world: PromptFixture,
) -> None:
    async with world.prompt_builder.prebuild(world.turn, world.session) as prompt:
        await wait_until(lambda: len(world.slack.calls) == 1)
        world.slack.released.set()
        assert "The root" in await prompt(world.session)
    assert world.slack.calls == [""]


async def test_the_prompt_is_rebuilt_if_the_session_changed(
    world: PromptFixture,
) -> None:
    world.slack.released.set()
    changed = replace(world.session, seen_ts=ts_at(1.5))
    async with world.prompt_builder.prebuild(world.turn, world.session) as prompt:
        await wait_until(lambda: len(world.slack.calls) == 1)
        await prompt(changed)
    assert world.slack.calls == ["", ts_at(1.5)]


async def test_a_slack_error_leaves_the_earlier_messages_out(world: PromptFixture) -> None:
    world.slack.down = True
    world.slack.released.set()
    async with world.prompt_builder.prebuild(world.turn, world.session) as prompt:
        assert NOT_READ in await prompt(world.session)


async def test_leaving_without_the_prompt_does_not_wait_for_slack(
    world: PromptFixture,
) -> None:
    async with world.prompt_builder.prebuild(world.turn, world.session):
        await wait_until(lambda: len(world.slack.calls) == 1)
    assert not world.slack.released.is_set()
