"""A message that cannot be recorded: Slack brings it again, and its author is told so, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import Message, Trigger
from bot.errors import StoreError
from bot.turns import inbox as words
from tests.contracts.messages import make_message, ts_at
from tests.unit.turns.inbox_fixtures import ACCEPT, InboxFixture, inbox_fixture, wait_until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


async def refused(world: InboxFixture, message: Message) -> None:
    with pytest.raises(StoreError):
        await world.inbox.enqueue(message)


async def test_its_author_is_notified_once_however_often_it_is_brought(world: InboxFixture) -> None:
    """A mention comes as two events, and each of them again and again."""
    async with world.inbox.dispatch_turns():
        world.spoil(ACCEPT)
        for event_id in ("Ev1", "Ev2", "Ev1", "Ev2"):
            await refused(world, make_message(1, event_id=event_id))
        await refused(world, make_message(2, trigger=Trigger.DIRECT, channel="D0ALICE"))
        await wait_until(lambda: len(world.slack.shown) == 2)
        world.mend()
        await world.inbox.enqueue(make_message(1))
        await world.ended(make_message(1))
    assert sorted(world.slack.shown) == [(words.NOT_TAKEN, ts_at(1)), (words.NOT_TAKEN, ts_at(2))]


async def test_who_did_not_call_the_bot_is_not_bothered(world: InboxFixture) -> None:
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1))
        await world.ended(make_message(1))
        world.spoil(ACCEPT)
        await refused(world, make_message(2, root=1, trigger=Trigger.FOLLOW_UP))
    assert world.slack.shown == []


async def test_whom_there_was_no_time_to_tell_is_notified_when_it_is_brought_again(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.inbox.dispatch_turns():
        world.spoil(ACCEPT)
        with monkeypatch.context() as busy:
            busy.setattr("bot.turns.queue_notices.MAX_PENDING", 0)
            await refused(world, make_message(1))
        await refused(world, make_message(1))
        await wait_until(lambda: len(world.slack.shown) == 1)


async def test_what_is_remembered_of_it_is_bounded(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MAX_UNRECORDED", 2)
    async with world.inbox.dispatch_turns():
        world.spoil(ACCEPT)
        for second in (1, 2, 3, 1):
            await refused(world, make_message(second))
        await wait_until(lambda: len(world.slack.shown) == 4)
