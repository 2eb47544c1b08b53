"""Queue notices run in order for a message, are bounded, and their failures affect nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import Message
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.turns import queue_notices
from bot.turns.queue_notices import QueueNotices
from tests.contracts.messages import make_message, ts_at
from tests.fakes import ManualClock, QuickClock
from tests.unit.turns.inbox_fixtures import FakeSlack, InboxFixture, inbox_fixture, wait_until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


async def a_waiting_turn(world: InboxFixture, second: float = 1) -> Turn:
    accepted = await world.store.accept_message(make_message(second))
    assert accepted.turn is not None
    return accepted.turn


async def test_a_message_that_no_longer_waits_is_not_marked(world: InboxFixture) -> None:
    turn = await a_waiting_turn(world)
    await world.store.claim()
    notices = QueueNotices(world.store, world.slack, QuickClock())
    notices.schedule_indicator(turn)
    await wait_until(lambda: notices.pending_count == 0)
    assert world.slack.shown == []


async def test_a_message_that_waits_shorter_than_the_delay_is_not_marked(
    world: InboxFixture,
) -> None:
    clock = ManualClock()
    notices = QueueNotices(world.store, world.slack, clock)
    turn = await a_waiting_turn(world)
    notices.schedule_indicator(turn)
    await clock.advance(queue_notices.INDICATOR_DELAY_SECONDS / 2)
    notices.clear_indicator(turn)
    await clock.advance(queue_notices.INDICATOR_DELAY_SECONDS * 2)
    assert notices.pending_count == 0
    assert world.slack.shown == []


async def test_an_unmarked_message_needs_no_removal(world: InboxFixture) -> None:
    notices = QueueNotices(world.store, world.slack, QuickClock())
    notices.clear_indicator(await a_waiting_turn(world))
    assert notices.pending_count == 0


class BrokenSlack(FakeSlack):
    async def add_waiting_reaction(self, message: Message) -> bool:
        self.marking += 1
        await self.marks_may_go.wait()
        raise SlackError("internal_error") if message.ts == ts_at(1) else RuntimeError("a fault")


async def test_a_failing_reaction_does_not_stop_others(world: InboxFixture) -> None:
    slack = BrokenSlack()
    slack.marks_may_go.clear()
    notices = QueueNotices(world.store, slack, QuickClock())
    turns = [await a_waiting_turn(world, second) for second in (1, 2)]
    for turn in turns:
        notices.schedule_indicator(turn)
    await wait_until(lambda: slack.marking == 2)
    for turn in turns:
        notices.clear_indicator(turn)
    slack.marks_may_go.set()
    await notices.close(5)
    assert sorted(slack.shown) == [("unmark", ts_at(1)), ("unmark", ts_at(2))]


async def test_too_many_at_once_are_left_out(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_notices, "MAX_PENDING", 2)
    world.slack.marks_may_go.clear()
    notices = QueueNotices(world.store, world.slack, QuickClock())
    turns = [await a_waiting_turn(world, second) for second in (1, 2, 3)]
    for turn in turns:
        notices.schedule_indicator(turn)
    assert notices.pending_count == 2
    await wait_until(lambda: world.slack.marking == 2)
    notices.clear_indicator(turns[0])
    world.slack.marks_may_go.set()
    await notices.close(5)
    assert sorted(world.slack.shown) == [
        ("mark", ts_at(1)),
        ("mark", ts_at(2)),
        ("unmark", ts_at(1)),
    ]


async def test_calls_to_a_hanging_slack_are_cancelled_on_close(world: InboxFixture) -> None:
    world.slack.marks_may_go.clear()
    notices = QueueNotices(world.store, world.slack, QuickClock())
    notices.schedule_indicator(await a_waiting_turn(world))
    await wait_until(lambda: world.slack.marking == 1)
    async with asyncio.timeout(30):
        await notices.close(0.01)
    assert notices.pending_count == 0
    assert world.slack.shown == []
