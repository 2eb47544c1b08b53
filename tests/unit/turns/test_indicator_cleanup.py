"""Stale indicators are removed with retries, over failures and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.turns import TurnState
from bot.errors import SlackError
from bot.ports import Store
from bot.slack.api.calls import SlackCallError
from bot.turns import indicator_cleanup
from bot.turns.inbox import POLL_SECONDS
from tests.contracts.messages import make_message, ts_at
from tests.unit.turns.inbox_fixtures import InboxFixture, inbox_fixture, wait_until

DOWN = 40
"""Number of failing tries: more than half an hour of them."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


def trouble() -> SlackError:
    return SlackCallError("timeout", maybe_done=True)


async def left_behind(store: Store, second: float = 1) -> None:
    """A turn ends, and its thread may still show a status."""
    await store.accept_message(make_message(second))
    turn = (await store.claim()).turn
    assert turn is not None
    await store.finish_turn(turn, TurnState.DONE, may_show_status=True)


async def a_marked_one_ends(world: InboxFixture) -> None:
    """A message is queued, marked and answered."""
    await world.inbox.enqueue(make_message(1, text="hold"))
    await world.inbox.enqueue(make_message(2, root=1))
    await world.wait_until(lambda: ("mark", ts_at(2)) in world.slack.shown)
    world.handler.released.set()
    await world.ended(make_message(2))


async def test_a_reaction_is_removed_after_a_long_slack_failure(world: InboxFixture) -> None:
    world.slack.troubled = [trouble() for _ in range(DOWN)]
    async with world.inbox.dispatch_turns():
        await a_marked_one_ends(world)
        await world.wait_until(lambda: ("unmark", ts_at(2)) in world.slack.shown)
        await wait_until_none_left(world)
    assert world.slack.shown == [("mark", ts_at(2)), ("unmark", ts_at(2))]
    assert world.clock.monotonic() > DOWN / 2 * indicator_cleanup.RETRY_MAX_SECONDS / 2, (
        "it does not hammer"
    )


async def test_a_reaction_left_by_a_restart_is_removed_after_it(
    tmp_path: Path,
) -> None:
    """Although its message was answered before the restart."""
    async with inbox_fixture(tmp_path) as world, world.inbox.dispatch_turns():
        world.slack.troubled = [trouble() for _ in range(1_000)]
        await a_marked_one_ends(world)
    for expected in ([("unmark", ts_at(2))], []):
        async with inbox_fixture(tmp_path) as world:
            async with world.inbox.dispatch_turns():
                await wait_until_none_left(world)
            assert world.slack.shown == expected


async def test_a_reaction_that_slack_refused_is_not_removed(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack allows fewer removals a minute than additions: none is wasted."""

    async def refuses(_: object) -> bool:
        world.slack.marking += 1
        return False

    monkeypatch.setattr(world.slack, "add_waiting_reaction", refuses)
    async with world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text="hold"))
        await world.inbox.enqueue(make_message(2, root=1))
        await world.wait_until(lambda: world.slack.marking == 1)
        await wait_until_recorded_as_cleared(world)
        world.handler.released.set()
        await world.ended(make_message(2))
    assert world.slack.shown == []


async def wait_until_recorded_as_cleared(world: InboxFixture) -> None:
    async with asyncio.timeout(20):
        while True:
            turn = await world.store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(2))
            if turn is not None and not turn.may_be_marked_waiting:
                return
            await asyncio.sleep(0.002)


async def test_a_status_that_a_turn_left_is_cleared_while_the_bot_runs(
    world: InboxFixture,
) -> None:
    async with world.inbox.dispatch_turns():
        await wait_until(lambda: world.clock.sleeping >= 1)
        await left_behind(world.store)
        await world.clock.advance(POLL_SECONDS)
        await wait_until_none_left(world)
    assert world.slack.idle == [ts_at(1)]


async def test_the_status_of_a_killed_turn_is_cleared(
    tmp_path: Path,
) -> None:
    async with inbox_fixture(tmp_path) as world:
        await world.store.accept_message(make_message(1))
        assert (await world.store.claim()).turn is not None
    async with inbox_fixture(tmp_path) as world, world.inbox.dispatch_turns():
        await world.ended(make_message(1))
        await wait_until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_the_status_of_a_cancelled_and_deleted_turn_is_cleared(
    tmp_path: Path,
) -> None:
    async with inbox_fixture(tmp_path, drain_seconds=0) as world, world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text="hold"))
        await wait_until(lambda: world.handler.running == 1)
    async with inbox_fixture(tmp_path) as world:
        await world.inbox.handle_deletion("T0SANDBOX", "C0GENERAL", ts_at(1))
        async with world.inbox.dispatch_turns():
            await wait_until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_an_indicator_that_cannot_be_removed_yet_does_not_delay_others(
    world: InboxFixture,
) -> None:
    for second in (1, 2):
        await left_behind(world.store, second)
    world.slack.late = 1
    async with world.inbox.dispatch_turns():
        await wait_until(lambda: world.slack.idle == [ts_at(2)])
        await wait_until(lambda: world.clock.sleeping >= 1)
        await world.clock.advance(indicator_cleanup.RECHECK_SECONDS)
        await wait_until_none_left(world)
    assert world.slack.idle == [ts_at(2), ts_at(1)]


async def test_an_indicator_that_always_fails_does_not_delay_others(
    world: InboxFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in (1, 2, 3):
        await left_behind(world.store, second)
    take_back = world.slack.clear_status
    bad = {ts_at(1), ts_at(2)}

    async def fails_for_some(thread: ThreadKey) -> bool:
        if thread.root_ts in bad:
            raise trouble()
        return await take_back(thread)

    monkeypatch.setattr(world.slack, "clear_status", fails_for_some)
    async with world.inbox.dispatch_turns():
        await world.wait_until(lambda: world.slack.idle == [ts_at(3)])
        bad.clear()
        await wait_until_none_left(world)
    assert sorted(world.slack.idle) == [ts_at(1), ts_at(2), ts_at(3)]


async def test_a_refused_removal_is_retried_by_the_next_start_only(
    tmp_path: Path,
) -> None:
    async with inbox_fixture(tmp_path) as world:
        for second in (1, 2):
            await left_behind(world.store, second)
        world.slack.troubled = [SlackCallError("invalid_auth")]
        async with world.inbox.dispatch_turns():
            await wait_until(lambda: world.slack.idle == [ts_at(2)])
            for _ in range(5):
                await wait_until(lambda: world.clock.sleeping >= 1)
                await world.clock.advance(POLL_SECONDS)
        assert world.slack.idle == [ts_at(2)]
    async with inbox_fixture(tmp_path) as world, world.inbox.dispatch_turns():
        await wait_until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_a_removal_that_was_not_recorded_is_repeated(
    world: InboxFixture, caplog: pytest.LogCaptureFixture
) -> None:
    await left_behind(world.store)
    world.break_database("UPDATE OF status_left")
    async with world.inbox.dispatch_turns():
        await wait_until(lambda: world.slack.idle == [ts_at(1)])
        await wait_until(lambda: "not removed yet" in caplog.text)  # the write has failed
        await wait_until(lambda: world.clock.sleeping >= 1)
        world.repair_database()
        await world.wait_until(lambda: len(world.slack.idle) == 2)
        await wait_until_none_left(world)
    assert world.slack.idle == [ts_at(1)] * 2


async def wait_until_none_left(world: InboxFixture) -> None:
    """Advance the clock until no indicator is recorded."""
    async with asyncio.timeout(20):
        while await world.store.stale_waiting_indicators(
            0
        ) or await world.store.stale_status_indicators(0):
            await world.clock.advance(1.0)
            await asyncio.sleep(0.002)
