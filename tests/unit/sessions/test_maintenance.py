"""Maintenance limits the runtime's memory and deletes old sessions in the background."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bot.domain.sessions import SessionOrigin
from bot.errors import AgentError, AgentErrorKind
from bot.sessions import cleanup_notices
from bot.sessions.cleanup import Cleanup
from bot.sessions.maintenance import (
    RESTART_GRACE_SECONDS,
    RESTART_INTERVAL_SECONDS,
    RETENTION_INTERVAL_SECONDS,
    Maintenance,
    RetentionPolicy,
)
from bot.sessions.pool import SessionPool
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.unit.commands.command_fixtures import (
    CommandFixture,
    FakeAgent,
    command_fixture,
)
from tests.unit.turns.inbox_fixtures import wait_until

DAY = 86_400.0
MB = 1024**2


class LeakingAgent(FakeAgent):
    """A runtime whose memory and disk usage a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 0
        self.sizes: dict[str, int] = {}
        self.broken = False
        self.looked = 0

    async def memory_bytes(self) -> int:
        self.looked += 1
        if self.broken:
            raise RuntimeError("unexpected")
        return self.takes

    async def stored_sizes(self) -> Mapping[str, int]:
        if self.broken:
            raise AgentError(AgentErrorKind.RUNTIME, "it does not answer")
        return self.sizes


class RestartingPool(SessionPool):
    """A pool that records restarts of the runtime."""

    def __init__(self) -> None:
        super().__init__(FakeAgent(), size=1)
        self.restarts: list[float] = []
        self.drains = True

    async def restart_runtime(self, timeout: float) -> bool:
        self.restarts.append(timeout)
        return self.drains


class MaintenanceFixture:
    """A fixture with maintenance."""

    def __init__(self, world: CommandFixture) -> None:
        self.world = world
        self.runtime = LeakingAgent()
        self.pool = RestartingPool()

    @asynccontextmanager
    async def maintenance(self, policy: RetentionPolicy, folder: Path) -> AsyncIterator[None]:
        world = self.world
        cleanup = Cleanup(world.store, self.runtime, self.pool, world.clock, sessions_dir=folder)
        async with Maintenance(
            world.store, self.runtime, self.pool, cleanup, world.publisher, world.clock, policy
        ):
            await wait_until(lambda: world.clock.sleeping == 1)
            yield

    async def advance(self, seconds: float) -> None:
        """Advance the clock, and wait until the due work is done."""
        await self.world.clock.advance(seconds)
        await wait_until(lambda: self.world.clock.sleeping == 1)


@pytest.fixture
async def maintained(tmp_path: Path) -> AsyncIterator[MaintenanceFixture]:
    async with command_fixture(tmp_path / "data") as world:
        yield MaintenanceFixture(world)


async def test_a_runtime_above_its_memory_limit_is_restarted(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    async with maintained.maintenance(RetentionPolicy(max_runtime_memory_mb=100), tmp_path):
        maintained.runtime.takes = 100 * MB
        await maintained.advance(60)
        assert maintained.pool.restarts == []
        maintained.runtime.takes += 1
        await maintained.advance(60)
        assert maintained.pool.restarts == [RESTART_GRACE_SECONDS]


async def test_at_most_once_in_ten_minutes_even_when_it_cannot_be_drained(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    maintained.runtime.takes = 200 * MB
    maintained.pool.drains = False
    async with maintained.maintenance(RetentionPolicy(max_runtime_memory_mb=100), tmp_path):
        for _ in range(int(RESTART_INTERVAL_SECONDS / 60)):
            await maintained.advance(60)
        assert len(maintained.pool.restarts) == 1
        await maintained.advance(60)
        assert len(maintained.pool.restarts) == 2


async def test_without_a_limit_the_memory_is_not_read(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    async with maintained.maintenance(RetentionPolicy(), tmp_path):
        await maintained.advance(60)
        assert maintained.runtime.looked == 0


async def test_a_failure_does_not_end_the_maintenance(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    old = await maintained.world.context_for(1)
    maintained.runtime.broken = True
    await maintained.world.clock.advance(40 * DAY)
    async with maintained.maintenance(
        RetentionPolicy(max_runtime_memory_mb=100, max_unused_days=30), tmp_path
    ):
        await maintained.advance(60)
        assert maintained.runtime.looked == 1
        assert await maintained.world.store.session_by_number(old.number) is not None

        maintained.runtime.broken, maintained.runtime.takes = False, 200 * MB
        await maintained.advance(60)
        assert len(maintained.pool.restarts) == 1
        await maintained.advance(RETENTION_INTERVAL_SECONDS)
        assert await maintained.world.store.session_by_number(old.number) is None


async def test_a_session_unused_for_too_long_is_deleted_and_its_thread_is_notified(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    world = maintained.world
    old = await world.context_for(1)
    role = await world.context_for(2, root=1, role="review")
    inactive = await world.context_for(3)
    await world.store.reset(inactive.thread, "", inactive.owner)
    running = await world.context_with(4)
    answering = await world.store.ensure_session(running)
    await world.clock.advance(31 * DAY)
    fresh = await world.context_for(5)
    async with maintained.maintenance(RetentionPolicy(max_unused_days=30), tmp_path):
        await maintained.advance(60)

    assert await world.store.session_by_number(old.number) is None
    assert await world.store.session_by_number(inactive.number) is None
    assert await world.store.session_by_number(fresh.number) is not None
    assert await world.store.running_turn(running.message.thread) is not None
    assert await world.store.session_by_number(answering.number) is not None
    assert set(maintained.runtime.deleted) >= {old.id, role.id, inactive.id}
    assert {(thread, card.text) for thread, card in world.publisher.shown} == {
        (old.thread, cleanup_notices.GONE),
        (old.thread, cleanup_notices.GONE_ROLE.format(role="review")),
    }
    entries, _ = await world.store.list_audit_entries(0, 5)
    assert [(entry.action, entry.target) for entry in entries] == [
        ("retention", "unused for 30 days")
    ] * 2
    assert [entry.detail for entry in entries] == ["4 sessions, 8192 bytes", "begun"]


async def test_nothing_is_deleted_without_an_audit_entry(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    old = await maintained.world.context_for(1)
    await maintained.world.clock.advance(40 * DAY)
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    async with maintained.maintenance(RetentionPolicy(max_unused_days=30), tmp_path):
        await maintained.advance(60)
    assert await maintained.world.store.session_by_number(old.number) is not None
    assert maintained.runtime.deleted == []


async def test_sizes_of_sessions_are_known_a_minute_after_the_start(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    session = await maintained.world.context_for(1)
    maintained.runtime.sizes = {session.id: MB}
    async with maintained.maintenance(RetentionPolicy(), tmp_path):
        await maintained.advance(60)
        assert (await maintained.world.session(session.number)).size == MB
    assert (await maintained.world.store.list_audit_entries(0, 1))[1] == 0


async def test_above_a_number_the_least_recently_used_are_deleted(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    world = maintained.world
    sessions = []
    for second in range(1, 6):
        sessions.append(await world.context_for(second))
        await world.clock.advance(60)
    async with maintained.maintenance(RetentionPolicy(max_sessions=2), tmp_path):
        await maintained.advance(60)
    assert await world.store.session_ids() == {session.id for session in sessions[-2:]}


async def test_above_a_size_the_least_recently_used_are_deleted(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    world = maintained.world
    sessions = []
    for second in range(1, 6):
        sessions.append(await world.context_for(second))
        await world.clock.advance(60)
    maintained.runtime.sizes = {session.id: MB // 2 for session in sessions}
    async with maintained.maintenance(RetentionPolicy(max_disk_mb=1), tmp_path):
        await maintained.advance(60)
    assert await world.store.session_ids() == {session.id for session in sessions[-2:]}


async def test_sessions_within_the_limits_stay(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    kept = await maintained.world.context_for(1)
    maintained.runtime.sizes = {kept.id: MB}
    await maintained.world.clock.advance(29 * DAY)
    async with maintained.maintenance(
        RetentionPolicy(max_unused_days=30, max_sessions=1, max_disk_mb=1), tmp_path
    ):
        await maintained.advance(60)
    assert (await maintained.world.session(kept.number)).size == MB
    assert maintained.world.publisher.shown == []


async def test_notices_of_one_round_are_bounded(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    for second in range(1, cleanup_notices.MAX_NOTICES + 6):
        await maintained.world.context_for(second)
    await maintained.world.clock.advance(2 * DAY)
    async with maintained.maintenance(RetentionPolicy(max_unused_days=1), tmp_path):
        await maintained.advance(60)
    assert await maintained.world.store.session_ids() == set()
    assert len(maintained.world.publisher.shown) == cleanup_notices.MAX_NOTICES


async def test_sessions_are_deleted_while_slack_is_down(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    await maintained.world.context_for(1)
    maintained.world.publisher.trouble = True
    await maintained.world.clock.advance(2 * DAY)
    async with maintained.maintenance(RetentionPolicy(max_unused_days=1), tmp_path):
        await maintained.advance(60)
    assert await maintained.world.store.session_ids() == set()


async def test_copies_of_a_comparison_without_a_kept_answer_are_deleted_after_a_week(
    maintained: MaintenanceFixture, tmp_path: Path
) -> None:
    world = maintained.world
    source = await world.context_for(1)
    copy = await world.store.add_session(
        source,
        session_id="copy-1",
        origin=SessionOrigin.COMPARISON,
        thread=source.thread,
        owner=source.owner,
    )
    fork = await world.store.add_session(
        source,
        session_id="copy-2",
        origin=SessionOrigin.FORK,
        thread=source.thread,
        owner=source.owner,
    )
    for days, is_there in ((6, True), (2, False)):
        await world.clock.advance(days * DAY)
        async with maintained.maintenance(RetentionPolicy(), tmp_path):
            await maintained.advance(60)
        assert (await world.store.session_by_number(copy.number) is not None) == is_there
    assert await world.store.session_ids() == {source.id, fork.id}
    assert maintained.runtime.deleted == ["copy-1"]
    assert world.publisher.shown == []
