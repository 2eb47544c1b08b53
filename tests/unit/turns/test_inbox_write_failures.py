"""A message that cannot be recorded: Slack resends it, and its author gets one notice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import Message, Trigger
from bot.errors import StoreError
from bot.turns import inbox as inbox_texts
from tests.contracts.messages import make_message, ts_at
from tests.unit.turns.inbox_fixtures import ACCEPT, InboxFixture, inbox_fixture, wait_until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


async def refused(world: InboxFixture, message: Message) -> None:
    with pytest.raises(StoreError):
        await world.inbox.enqueue(message)


async def test_the_author_is_notified_once_for_all_deliveries(world: InboxFixture) -> None:
    """A mention comes as two events, and Slack resends each of them."""
    async with world.inbox.dispatch_turns():
        world.break_database(ACCEPT)
        for event_id in ("Ev1", "Ev2", "Ev1", "Ev2"):
            await refused(world, make_message(1, event_id=event_id))
        await refused(world, make_message(2, trigger=Trigger.DIRECT, channel="D0ALICE"))
        await wait_until(lambda: len(world.slack.shown) == 2)
        world.repair_database()
        await world.inbox.enqueue(make_message(1))
        await world.ended(make_message(1))
    assert sorted(world.slack.shown) == [
        (inbox_texts.NOT_SAVED, ts_at(1)),
        (inbox_texts.NOT_SAVED, ts_at(2)),
    ]


async def test_authors_who_did_not_address_the_bot_are_not_notified(world: InboxFixture) -> None:
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1))
        await world.ended(make_message(1))
        world.break_database(ACCEPT)
        await refused(world, make_message(2, root=1, trigger=Trigger.FOLLOW_UP))
    assert world.slack.shown == []


async def test_a_notice_left_out_is_sent_with_the_next_delivery(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.inbox.dispatch_turns():
        world.break_database(ACCEPT)
        with monkeypatch.context() as busy:
            busy.setattr("bot.turns.queue_notices.MAX_PENDING", 0)
            await refused(world, make_message(1))
        await refused(world, make_message(1))
        await wait_until(lambda: len(world.slack.shown) == 1)


async def test_remembered_notices_are_bounded(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_texts, "MAX_UNRECORDED", 2)
    async with world.inbox.dispatch_turns():
        world.break_database(ACCEPT)
        for second in (1, 2, 3, 1):
            await refused(world, make_message(second))
        await wait_until(lambda: len(world.slack.shown) == 4)
