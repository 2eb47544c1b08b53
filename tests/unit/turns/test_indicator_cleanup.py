"""What is shown for a time is taken back until it is done: over trouble, over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.turns import TurnState
from bot.errors import SlackError
from bot.ports import Store
from bot.slack.api.calls import CallError
from bot.turns import indicator_cleanup
from bot.turns.inbox import LOOK_SECONDS
from tests.contracts.messages import said, ts_at
from tests.unit.turns.inbox_fixtures import World, until, world_in

DOWN = 40
"""So many tries come to nothing: more than half an hour of them."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


def trouble() -> SlackError:
    return CallError("timeout", maybe_done=True)


async def left_behind(store: Store, second: float = 1) -> None:
    """A turn ends, and its thread may still show work."""
    await store.accept(said(second))
    turn = (await store.claim()).turn
    assert turn is not None
    await store.finish(turn, TurnState.DONE, status_left=True)


async def a_marked_one_ends(world: World) -> None:
    """A message waits, is marked, and answered."""
    await world.inbox.accept(said(1, text="hold"))
    await world.inbox.accept(said(2, root=1))
    await world.passing(lambda: ("mark", ts_at(2)) in world.slack.shown)
    world.handler.let_go.set()
    await world.ended(said(2))


async def test_a_mark_is_taken_back_however_long_slack_is_in_trouble(world: World) -> None:
    world.slack.troubled = [trouble() for _ in range(DOWN)]
    async with world.inbox.running():
        await a_marked_one_ends(world)
        await world.passing(lambda: ("unmark", ts_at(2)) in world.slack.shown)
        await until_none_left(world)
    assert world.slack.shown == [("mark", ts_at(2)), ("unmark", ts_at(2))]
    assert world.clock.monotonic() > DOWN / 2 * indicator_cleanup.MOST_PAUSE / 2, (
        "it does not hammer"
    )


async def test_a_mark_that_was_not_taken_back_before_a_restart_is_so_after_it(
    tmp_path: Path,
) -> None:
    """Though its message has been answered, and nobody looks at that any more."""
    async with world_in(tmp_path) as world, world.inbox.running():
        world.slack.troubled = [trouble() for _ in range(1_000)]
        await a_marked_one_ends(world)
    for expected in ([("unmark", ts_at(2))], []):
        async with world_in(tmp_path) as world:
            async with world.inbox.running():
                await until_none_left(world)
            assert world.slack.shown == expected


async def test_a_mark_that_slack_surely_did_not_take_is_not_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer can be taken back in a minute than set: none is to be lost on it."""

    async def refuses(_: object) -> bool:
        world.slack.marking += 1
        return False

    monkeypatch.setattr(world.slack, "mark_waiting", refuses)
    async with world.inbox.running():
        await world.inbox.accept(said(1, text="hold"))
        await world.inbox.accept(said(2, root=1))
        await world.passing(lambda: world.slack.marking == 1)
        await until_noted_as_unmarked(world)
        world.handler.let_go.set()
        await world.ended(said(2))
    assert world.slack.shown == []


async def until_noted_as_unmarked(world: World) -> None:
    async with asyncio.timeout(20):
        while True:
            turn = await world.store.find("T0SANDBOX", "C0GENERAL", ts_at(2))
            if turn is not None and not turn.waited:
                return
            await asyncio.sleep(0.002)


async def test_a_status_that_a_turn_left_is_taken_back_while_the_bot_runs(world: World) -> None:
    async with world.inbox.running():
        await until(lambda: world.clock.sleeping >= 1)
        await left_behind(world.store)
        await world.clock.advance(LOOK_SECONDS)
        await until_none_left(world)
    assert world.slack.idle == [ts_at(1)]


async def test_the_status_of_what_ran_when_the_bot_was_killed_is_taken_back(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path) as world:
        await world.store.accept(said(1))
        assert (await world.store.claim()).turn is not None
    async with world_in(tmp_path) as world, world.inbox.running():
        await world.ended(said(1))
        await until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_the_status_of_what_was_cut_short_and_then_deleted_is_taken_back(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path, drain_seconds=0) as world, world.inbox.running():
        await world.inbox.accept(said(1, text="hold"))
        await until(lambda: world.handler.running == 1)
    async with world_in(tmp_path) as world:
        await world.inbox.deleted("T0SANDBOX", "C0GENERAL", ts_at(1))
        async with world.inbox.running():
            await until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_what_cannot_be_taken_back_yet_does_not_hold_up_the_others(world: World) -> None:
    for second in (1, 2):
        await left_behind(world.store, second)
    world.slack.late = 1
    async with world.inbox.running():
        await until(lambda: world.slack.idle == [ts_at(2)])
        await until(lambda: world.clock.sleeping >= 1)
        await world.clock.advance(indicator_cleanup.NOT_YET_PAUSE)
        await until_none_left(world)
    assert world.slack.idle == [ts_at(2), ts_at(1)]


async def test_one_that_slack_has_trouble_with_for_ever_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in (1, 2, 3):
        await left_behind(world.store, second)
    take_back = world.slack.take_status_back
    bad = {ts_at(1), ts_at(2)}

    async def fails_for_some(thread: ThreadKey) -> bool:
        if thread.root_ts in bad:
            raise trouble()
        return await take_back(thread)

    monkeypatch.setattr(world.slack, "take_status_back", fails_for_some)
    async with world.inbox.running():
        await world.passing(lambda: world.slack.idle == [ts_at(3)])
        bad.clear()
        await until_none_left(world)
    assert sorted(world.slack.idle) == [ts_at(1), ts_at(2), ts_at(3)]


async def test_what_slack_refuses_for_good_is_tried_again_by_the_next_start_only(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path) as world:
        for second in (1, 2):
            await left_behind(world.store, second)
        world.slack.troubled = [CallError("invalid_auth")]
        async with world.inbox.running():
            await until(lambda: world.slack.idle == [ts_at(2)])
            for _ in range(5):
                await until(lambda: world.clock.sleeping >= 1)
                await world.clock.advance(LOOK_SECONDS)
        assert world.slack.idle == [ts_at(2)]
    async with world_in(tmp_path) as world, world.inbox.running():
        await until_none_left(world)
        assert world.slack.idle == [ts_at(1)]


async def test_what_could_not_be_noted_as_taken_back_is_taken_back_once_more(
    world: World,
) -> None:
    await left_behind(world.store)
    world.spoil("UPDATE OF status_left")
    async with world.inbox.running():
        await until(lambda: world.slack.idle == [ts_at(1)])
        await until(lambda: world.clock.sleeping >= 1)
        world.mend()
        await world.passing(lambda: len(world.slack.idle) == 2)
        await until_none_left(world)
    assert world.slack.idle == [ts_at(1)] * 2


async def until_none_left(world: World) -> None:
    """Let time pass until nothing is left on record."""
    async with asyncio.timeout(20):
        while await world.store.marks_left(0) or await world.store.statuses_left(0):
            await world.clock.advance(1.0)
            await asyncio.sleep(0.002)
