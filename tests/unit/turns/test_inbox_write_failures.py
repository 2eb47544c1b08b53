"""A message that cannot be recorded: Slack brings it again, and its author is told so, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import Message, Trigger
from bot.errors import StoreError
from bot.turns import inbox as words
from tests.contracts.messages import said, ts_at
from tests.unit.turns.inbox_fixtures import ACCEPT, World, until, world_in


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


async def refused(world: World, message: Message) -> None:
    with pytest.raises(StoreError):
        await world.inbox.accept(message)


async def test_its_author_is_told_once_however_often_it_is_brought(world: World) -> None:
    """A mention comes as two events, and each of them again and again."""
    async with world.inbox.running():
        world.spoil(ACCEPT)
        for event_id in ("Ev1", "Ev2", "Ev1", "Ev2"):
            await refused(world, said(1, event_id=event_id))
        await refused(world, said(2, trigger=Trigger.DIRECT, channel="D0ALICE"))
        await until(lambda: len(world.slack.shown) == 2)
        world.mend()
        await world.inbox.accept(said(1))
        await world.ended(said(1))
    assert sorted(world.slack.shown) == [(words.NOT_TAKEN, ts_at(1)), (words.NOT_TAKEN, ts_at(2))]


async def test_who_did_not_call_the_bot_is_not_bothered(world: World) -> None:
    async with world.inbox.running():
        await world.inbox.accept(said(1))
        await world.ended(said(1))
        world.spoil(ACCEPT)
        await refused(world, said(2, root=1, trigger=Trigger.FOLLOW_UP))
    assert world.slack.shown == []


async def test_whom_there_was_no_time_to_tell_is_told_when_it_is_brought_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.inbox.running():
        world.spoil(ACCEPT)
        with monkeypatch.context() as busy:
            busy.setattr("bot.turns.queue_notices.MAX_PENDING", 0)
            await refused(world, said(1))
        await refused(world, said(1))
        await until(lambda: len(world.slack.shown) == 1)


async def test_what_is_remembered_of_it_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MOST_UNTAKEN", 2)
    async with world.inbox.running():
        world.spoil(ACCEPT)
        for second in (1, 2, 3, 1):
            await refused(world, said(second))
        await until(lambda: len(world.slack.shown) == 4)
