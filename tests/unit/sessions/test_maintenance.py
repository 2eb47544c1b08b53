"""Tending: memory, and what grows old, looked after in the background."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bot.domain.sessions import Origin
from bot.errors import AgentError, AgentFault
from bot.sessions import cleanup_notices
from bot.sessions.cleanup import Cleanup
from bot.sessions.maintenance import RENEW_EVERY, RENEW_WITHIN, TIDY_EVERY, Keeping, Tending
from bot.store.sqlite.data_dir import DATABASE
from tests.unit.commands.command_fixtures import Pool, Runtime, World, orders_world
from tests.unit.turns.inbox_fixtures import until

DAY = 86_400.0
MB = 1024**2


class HungryRuntime(Runtime):
    """A runtime that takes as much memory, and has as much on disk, as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 0
        self.sizes: dict[str, int] = {}
        self.broken = False
        self.looked = 0

    async def memory(self) -> int:
        self.looked += 1
        if self.broken:
            raise RuntimeError("nobody thought of this")
        return self.takes

    async def stored(self) -> Mapping[str, int]:
        if self.broken:
            raise AgentError(AgentFault.RUNTIME, "it does not answer")
        return self.sizes


class RenewingPool(Pool):
    """A pool that takes down when the runtime is to be started anew."""

    def __init__(self) -> None:
        super().__init__()
        self.renewed: list[float] = []
        self.drains = True

    async def renew(self, within: float) -> bool:
        self.renewed.append(within)
        return self.drains


class Tended:
    """A world that is tended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.runtime = HungryRuntime()
        self.pool = RenewingPool()

    @asynccontextmanager
    async def tending(self, keeping: Keeping, folder: Path) -> AsyncIterator[None]:
        world = self.world
        cleanup = Cleanup(world.store, self.runtime, self.pool, world.clock, sessions=folder)
        async with Tending(
            world.store, self.runtime, self.pool, cleanup, world.board, world.clock, keeping
        ):
            await until(lambda: world.clock.sleeping == 1)
            yield

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and what is due then be done."""
        await self.world.clock.advance(seconds)
        await until(lambda: self.world.clock.sleeping == 1)


@pytest.fixture
async def tended(tmp_path: Path) -> AsyncIterator[Tended]:
    async with orders_world(tmp_path / "data") as world:
        yield Tended(world)


async def test_a_runtime_that_takes_too_much_is_started_anew(
    tended: Tended, tmp_path: Path
) -> None:
    async with tended.tending(Keeping(memory_mb=100), tmp_path):
        tended.runtime.takes = 100 * MB
        await tended.pass_by(60)
        assert tended.pool.renewed == []
        tended.runtime.takes += 1
        await tended.pass_by(60)
        assert tended.pool.renewed == [RENEW_WITHIN]


async def test_at_most_once_in_ten_minutes_even_when_it_cannot_be_drained(
    tended: Tended, tmp_path: Path
) -> None:
    tended.runtime.takes = 200 * MB
    tended.pool.drains = False
    async with tended.tending(Keeping(memory_mb=100), tmp_path):
        for _ in range(int(RENEW_EVERY / 60)):
            await tended.pass_by(60)
        assert len(tended.pool.renewed) == 1
        await tended.pass_by(60)
        assert len(tended.pool.renewed) == 2


async def test_without_a_limit_nobody_looks_at_the_memory(tended: Tended, tmp_path: Path) -> None:
    async with tended.tending(Keeping(), tmp_path):
        await tended.pass_by(60)
        assert tended.runtime.looked == 0


async def test_trouble_does_not_end_the_tending(tended: Tended, tmp_path: Path) -> None:
    old = await tended.world.asked(1)
    tended.runtime.broken = True
    await tended.world.clock.advance(40 * DAY)
    async with tended.tending(Keeping(memory_mb=100, days=30), tmp_path):
        await tended.pass_by(60)
        assert tended.runtime.looked == 1
        assert await tended.world.store.session(old.number) is not None

        tended.runtime.broken, tended.runtime.takes = False, 200 * MB
        await tended.pass_by(60)
        assert len(tended.pool.renewed) == 1
        await tended.pass_by(TIDY_EVERY)
        assert await tended.world.store.session(old.number) is None


async def test_what_was_not_used_for_long_goes_and_its_thread_is_told(
    tended: Tended, tmp_path: Path
) -> None:
    world = tended.world
    old = await world.asked(1)
    role = await world.asked(2, root=1, role="review")
    aside = await world.asked(3)
    await world.store.begin_anew(aside.thread, "", aside.owner)
    running = await world.asking(4)
    answering = await world.store.session_for(running)
    await world.clock.advance(31 * DAY)
    fresh = await world.asked(5)
    async with tended.tending(Keeping(days=30), tmp_path):
        await tended.pass_by(60)

    assert await world.store.session(old.number) is None
    assert await world.store.session(aside.number) is None
    assert await world.store.session(fresh.number) is not None
    assert await world.store.running(running.message.thread) is not None
    assert await world.store.session(answering.number) is not None
    assert set(tended.runtime.deleted) >= {old.id, role.id, aside.id}
    assert {(thread, card.text) for thread, card in world.board.shown} == {
        (old.thread, cleanup_notices.GONE),
        (old.thread, cleanup_notices.GONE_ROLE.format(role="review")),
    }
    entries, _ = await world.store.audited(0, 5)
    assert [(entry.act, entry.target) for entry in entries] == [
        ("retention", "unused for 30 days")
    ] * 2
    assert [entry.detail for entry in entries] == ["4 sessions, 8192 bytes", "begun"]


async def test_nothing_goes_that_cannot_be_put_on_record(tended: Tended, tmp_path: Path) -> None:
    old = await tended.world.asked(1)
    await tended.world.clock.advance(40 * DAY)
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    async with tended.tending(Keeping(days=30), tmp_path):
        await tended.pass_by(60)
    assert await tended.world.store.session(old.number) is not None
    assert tended.runtime.deleted == []


async def test_a_minute_after_the_start_lists_know_how_much_space_sessions_take(
    tended: Tended, tmp_path: Path
) -> None:
    session = await tended.world.asked(1)
    tended.runtime.sizes = {session.id: MB}
    async with tended.tending(Keeping(), tmp_path):
        await tended.pass_by(60)
        assert (await tended.world.session(session.number)).size == MB
    assert (await tended.world.store.audited(0, 1))[1] == 0


async def test_beyond_a_number_those_unused_for_the_longest_go(
    tended: Tended, tmp_path: Path
) -> None:
    world = tended.world
    sessions = []
    for second in range(1, 6):
        sessions.append(await world.asked(second))
        await world.clock.advance(60)
    async with tended.tending(Keeping(sessions=2), tmp_path):
        await tended.pass_by(60)
    assert await world.store.session_ids() == {session.id for session in sessions[-2:]}


async def test_beyond_a_size_those_unused_for_the_longest_go(
    tended: Tended, tmp_path: Path
) -> None:
    world = tended.world
    sessions = []
    for second in range(1, 6):
        sessions.append(await world.asked(second))
        await world.clock.advance(60)
    tended.runtime.sizes = {session.id: MB // 2 for session in sessions}
    async with tended.tending(Keeping(mb=1), tmp_path):
        await tended.pass_by(60)
    assert await world.store.session_ids() == {session.id for session in sessions[-2:]}


async def test_what_fits_is_kept_for_ever(tended: Tended, tmp_path: Path) -> None:
    kept = await tended.world.asked(1)
    tended.runtime.sizes = {kept.id: MB}
    await tended.world.clock.advance(29 * DAY)
    async with tended.tending(Keeping(days=30, sessions=1, mb=1), tmp_path):
        await tended.pass_by(60)
    assert (await tended.world.session(kept.number)).size == MB
    assert tended.world.board.shown == []


async def test_no_more_threads_are_told_in_a_round_than_slack_likes(
    tended: Tended, tmp_path: Path
) -> None:
    for second in range(1, cleanup_notices.MOST_AT_ONCE + 6):
        await tended.world.asked(second)
    await tended.world.clock.advance(2 * DAY)
    async with tended.tending(Keeping(days=1), tmp_path):
        await tended.pass_by(60)
    assert await tended.world.store.session_ids() == set()
    assert len(tended.world.board.shown) == cleanup_notices.MOST_AT_ONCE


async def test_sessions_go_even_when_slack_is_away(tended: Tended, tmp_path: Path) -> None:
    await tended.world.asked(1)
    tended.world.board.trouble = True
    await tended.world.clock.advance(2 * DAY)
    async with tended.tending(Keeping(days=1), tmp_path):
        await tended.pass_by(60)
    assert await tended.world.store.session_ids() == set()


async def test_copies_of_a_comparison_that_nobody_kept_go_after_a_week(
    tended: Tended, tmp_path: Path
) -> None:
    world = tended.world
    source = await world.asked(1)
    copy = await world.store.add_session(
        source,
        session_id="copy-1",
        origin=Origin.COMPARISON,
        thread=source.thread,
        owner=source.owner,
    )
    fork = await world.store.add_session(
        source, session_id="copy-2", origin=Origin.FORK, thread=source.thread, owner=source.owner
    )
    for days, is_there in ((6, True), (2, False)):
        await world.clock.advance(days * DAY)
        async with tended.tending(Keeping(), tmp_path):
            await tended.pass_by(60)
        assert (await world.store.session(copy.number) is not None) == is_there
    assert await world.store.session_ids() == {source.id, fork.id}
    assert tended.runtime.deleted == ["copy-1"]
    assert world.board.shown == []
