"""A cleanup deletes old sessions from the runtime and the store, over any interruption."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.domain.sessions import SessionFilter, SessionRecord
from bot.domain.turns import TurnState
from bot.errors import AgentError
from bot.ports import SessionConfig
from bot.sessions.cleanup import BATCH_SIZE, CleanupInProgress, CleanupReport
from bot.sessions.cleanup_filter import CleanupFilter, parse_filter
from tests.integration.copilot.session_probe import answer_to, wait_until
from tests.unit.commands.command_fixtures import ALICE, BOB, DEV, GENERAL
from tests.unit.sessions.cleanup_fixtures import DAY, CleanupFixture, cleanup_fixture

ALL = CleanupFilter(session_filter=SessionFilter(), all_sessions=True)
ORPHANS = parse_filter("--orphans", now=0)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[CleanupFixture]:
    async with cleanup_fixture(tmp_path) as here:
        yield here


def by(
    *,
    owner: str = "",
    channel: str = "",
    model: str = "",
    unused_since: float | None = None,
    keep_newest: int = 0,
) -> CleanupFilter:
    return CleanupFilter(
        session_filter=SessionFilter(
            owner=owner,
            channel=channel,
            model=model,
            unused_since=unused_since,
            keep_newest=keep_newest,
        )
    )


async def test_a_session_is_deleted_from_the_runtime_and_the_store(here: CleanupFixture) -> None:
    old = await here.old(1)
    await here.world.clock.advance(40 * DAY)
    fresh = await here.old(2)
    month = here.world.clock.now() - 30 * DAY

    found = await here.cleanup.preview(by(unused_since=month))
    assert (found.sessions.count, found.orphan_sessions, found.orphan_records) == (1, 0, 0)
    assert found.sessions.size > 0
    assert found.sessions.oldest == found.sessions.newest == old.last_used_at

    report = await here.cleanup.run(by(unused_since=month))
    assert (report.deleted, report.skipped, report.failed, report.is_complete) == (1, 0, 0, True)
    assert report.freed_bytes == found.sessions.size
    assert await here.on_record() == set(await here.agent.stored_sizes()) == {fresh.id}
    assert await here.world.store.session_by_number(old.number) is None


async def test_only_matching_sessions_are_deleted(here: CleanupFixture) -> None:
    stays = await here.world.context_for(1, user=ALICE, channel=GENERAL)
    goes = await here.world.context_for(2, user=BOB, channel=DEV)

    assert (await here.cleanup.run(by(owner=BOB, channel=DEV))).deleted == 1
    assert (await here.cleanup.run(by(model="another"))).deleted == 0
    assert await here.on_record() == {stays.id}
    assert goes.id not in await here.on_record()


async def test_the_newest_can_be_kept(here: CleanupFixture) -> None:
    sessions = []
    for second in range(1, 6):
        sessions.append(await here.world.context_for(second))
        await here.world.clock.advance(60)

    assert (await here.cleanup.run(by(keep_newest=2))).deleted == 3
    assert await here.on_record() == {session.id for session in sessions[-2:]}
    assert (await here.cleanup.run(by(keep_newest=2))).deleted == 0


async def test_sessions_are_deleted_in_batches_and_each_is_reported(here: CleanupFixture) -> None:
    sessions = await here.many(2 * BATCH_SIZE + 3)
    reports: list[CleanupReport] = []
    gone: list[SessionRecord] = []

    async def progress(report: CleanupReport) -> None:
        reports.append(report)

    async def on_deleted(batch: Sequence[SessionRecord]) -> None:
        gone.extend(batch)

    report = await here.cleanup.run(ALL, on_progress=progress, on_deleted=on_deleted)
    assert [each.deleted for each in reports] == [BATCH_SIZE, 2 * BATCH_SIZE, 2 * BATCH_SIZE + 3]
    assert report.deleted == len(sessions)
    assert {each.number for each in gone} == {each.number for each in sessions}
    assert here.agent.batches == [BATCH_SIZE, BATCH_SIZE, 3]
    assert await here.on_record() == set()


async def test_the_oldest_are_deleted_first_and_a_cancelled_cleanup_keeps_the_rest(
    here: CleanupFixture,
) -> None:
    sessions = []
    for second in range(1, BATCH_SIZE + 11):
        sessions.append(await here.world.context_for(second))
        await here.world.clock.advance(1)
    done: list[CleanupReport] = []

    async def progress(report: CleanupReport) -> None:
        done.append(report)

    report = await here.cleanup.run(ALL, on_progress=progress, is_cancelled=lambda: bool(done))
    assert (report.deleted, report.cancelled, report.is_complete) == (BATCH_SIZE, True, False)
    assert await here.on_record() == {session.id for session in sessions[BATCH_SIZE:]}

    assert (await here.cleanup.run(ALL)).deleted == 10
    assert await here.on_record() == set()


async def test_a_failure_is_in_the_report_and_the_next_cleanup_does_the_rest(
    here: CleanupFixture,
) -> None:
    await here.many(2 * BATCH_SIZE)
    here.agent.fails_at = 2

    report = await here.cleanup.run(ALL)
    assert (report.deleted, report.failed, report.is_complete) == (BATCH_SIZE, BATCH_SIZE, False)
    assert report.error_text
    assert "it died" not in report.error_text
    assert len(await here.on_record()) == BATCH_SIZE

    report = await here.cleanup.run(ALL)
    assert (report.deleted, report.failed, report.is_complete) == (BATCH_SIZE, 0, True)
    assert (await here.cleanup.run(ALL)) == CleanupReport()


async def test_sessions_in_use_are_skipped(here: CleanupFixture) -> None:
    held = await here.world.context_for(1)
    waiting = await here.world.context_for(2)
    free = await here.world.context_for(3)
    running = await here.world.context_with(4)
    await here.world.enqueue_turn(5, root=2)
    answering = await here.world.store.ensure_session(running)

    async with here.pool.acquire(held.id, SessionConfig()):
        report = await here.cleanup.run(ALL)
    assert (report.deleted, report.skipped) == (1, 3)
    assert await here.on_record() == {held.id, answering.id, waiting.id}
    assert free.id not in await here.on_record()

    await here.world.store.finish_turn(running, TurnState.DONE)
    assert (await here.cleanup.run(ALL)).deleted == 2
    assert await here.on_record() == {waiting.id}


async def test_a_turn_whose_session_is_being_deleted_waits_and_gets_a_new_one(
    here: CleanupFixture,
) -> None:
    old = await here.old(1)
    asking: list[asyncio.Task[None]] = []

    async def ask() -> None:
        async with here.pool.acquire(old.id, SessionConfig()) as session:
            assert session.is_new, "it was deleted under the turn"

    async def on_deleting(sessions: Sequence[SessionRecord]) -> None:
        assert [each.id for each in sessions] == [old.id]
        asking.append(asyncio.create_task(ask()))
        await asyncio.sleep(0)

    async def on_deleted(_: Sequence[SessionRecord]) -> None:
        assert old.id not in await here.agent.stored_sizes()

    report = await here.cleanup.run(
        ALL, on_deleting=on_deleting, on_deleted=on_deleted, include_orphans=False
    )
    assert report.deleted == 1
    await asyncio.gather(*asking)


async def test_a_session_used_after_it_was_listed_stays(here: CleanupFixture) -> None:
    session = await here.world.context_for(1)
    await here.world.clock.advance(40 * DAY)
    month = here.world.clock.now() - 30 * DAY
    async with here.pool.acquire("another", SessionConfig()):
        renewing = asyncio.create_task(here.pool.restart_runtime(10))
        await asyncio.sleep(0)
        cleaning_up = asyncio.create_task(
            here.cleanup.run(by(unused_since=month), include_orphans=False)
        )
        await wait_until(lambda: here.cleanup.is_running)
        # It waits for the runtime by now, or is about to.
        await here.world.context_for(2, root=1)
    assert await renewing
    report = await cleaning_up
    assert (report.deleted, report.is_complete) == (0, True)
    assert await here.on_record() == {session.id}


async def test_many_sessions_in_use_do_not_stop_the_deletion_of_others(
    here: CleanupFixture,
) -> None:
    await here.many(BATCH_SIZE + 5)
    await here.world.clock.advance(60)
    free = await here.world.context_for(1_000)
    for second in range(1, BATCH_SIZE + 6):
        await here.world.enqueue_turn(second + 0.5, root=second)

    report = await here.cleanup.run(ALL)
    assert (report.deleted, report.skipped) == (1, BATCH_SIZE + 5)
    assert free.id not in await here.on_record()


async def test_sessions_deleted_elsewhere_during_a_cleanup_are_handled(
    here: CleanupFixture,
) -> None:
    sessions = await here.many(2 * BATCH_SIZE + 10)
    await here.world.enqueue_turn(1_000, root=1)
    meanwhile = [session.number for session in sessions[-5:]]

    async def progress(_: CleanupReport) -> None:
        if meanwhile:
            await here.world.store.delete_sessions([meanwhile.pop()])

    report = await here.cleanup.run(ALL, on_progress=progress)
    assert (report.skipped, report.is_complete) == (1, True)
    assert await here.on_record() == {sessions[0].id}
    assert sum(here.agent.batches) == report.deleted


async def test_orphans_can_be_cancelled_too(here: CleanupFixture) -> None:
    lost = await here.world.context_for(1)
    await here.in_runtime("on-no-record")
    report = await here.cleanup.run(ORPHANS, is_cancelled=lambda: True)
    assert (report.orphans, report.cancelled) == (0, True)
    assert lost.id in await here.on_record()
    assert "on-no-record" in await here.agent.stored_sizes()


async def test_a_session_without_a_record_is_deleted_by_any_cleanup(here: CleanupFixture) -> None:
    known = await here.old(1)
    await here.in_runtime("slack-T0SANDBOX-C0GENERAL-9-000000")

    found = await here.cleanup.preview(by(channel=DEV))
    assert (found.sessions.count, found.orphan_sessions) == (0, 1)
    assert found.orphan_session_bytes > 0
    report = await here.cleanup.run(by(channel=DEV))
    assert (report.deleted, report.orphans) == (0, 1)
    assert report.freed_bytes == found.orphan_session_bytes
    assert set(await here.agent.stored_sizes()) == {known.id} == await here.on_record()


async def test_a_copy_in_use_for_a_side_question_is_no_orphan(
    here: CleanupFixture,
) -> None:
    await here.in_runtime("side-question-1")
    async with here.pool.acquire("side-question-1", SessionConfig()):
        assert (await here.cleanup.run(ORPHANS)).orphans == 0
    assert (await here.cleanup.run(ORPHANS)).orphans == 1


async def test_a_record_without_a_session_is_deleted_if_it_matches(here: CleanupFixture) -> None:
    """A kill between the two steps of a deletion leaves such a record."""
    lost, whole = await here.old(1), await here.old(2)
    unprompted = await here.world.store.reset(whole.thread, "review", ALICE)
    await here.agent.delete_sessions([lost.id])

    assert (await here.cleanup.preview(by(channel=DEV))).orphan_records == 1
    assert (await here.cleanup.run(by(channel=DEV))).orphans == 0
    assert lost.id in await here.on_record()

    report = await here.cleanup.run(ORPHANS)
    assert (report.deleted, report.orphans) == (0, 1)
    assert await here.on_record() == {whole.id, unprompted.id}
    assert await here.cleanup.run(ORPHANS) == CleanupReport()


async def test_a_killed_cleanup_is_completed_by_the_next_one(
    here: CleanupFixture,
) -> None:
    sessions = [await here.old(second) for second in (1, 2)]
    await here.agent.delete_sessions([sessions[0].id])

    assert (await here.cleanup.run(ALL)).deleted == 2
    assert await here.on_record() == set(await here.agent.stored_sizes()) == set()


async def test_locks_of_dead_processes_are_removed_and_those_of_living_ones_stay(
    here: CleanupFixture,
) -> None:
    session = await here.old(1)
    dead = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220 # it ends at once
    dead.wait()
    folder = here.sessions / session.id
    alive = await here.agent.open_session(session.id, SessionConfig())
    await answer_to(alive, "hello again")
    marks = set(folder.glob("inuse.*"))
    assert marks
    for ending in ("lock", "hold"):
        (folder / f"inuse.{dead.pid}.{ending}").write_text(f"{dead.pid}\n")

    assert (await here.cleanup.preview(ORPHANS)).stale_locks == 1
    assert (await here.cleanup.run(ORPHANS)).removed_locks == 1
    assert set(folder.glob("inuse.*")) == marks
    await alive.close()


async def test_the_lock_of_a_deleted_session_is_removed_once_it_is_old(
    here: CleanupFixture,
) -> None:
    gone, stays = await here.old(1), await here.old(2)
    await here.cleanup.run(ORPHANS)
    locks = here.sessions / ".session-operation-locks"
    assert {f"{session.id}.lock" for session in (gone, stays)} <= {f.name for f in locks.iterdir()}
    await here.agent.delete_sessions([gone.id])
    assert (await here.cleanup.preview(ORPHANS)).stale_locks == 0
    for lock in locks.iterdir():
        os.utime(lock, (0, 0))
    assert (await here.cleanup.run(ORPHANS)).removed_locks == 1
    assert not (locks / f"{gone.id}.lock").exists()
    assert (locks / f"{stays.id}.lock").exists()


async def test_one_cleanup_at_a_time(here: CleanupFixture) -> None:
    await here.many(1)
    refused = []

    async def again(_: CleanupReport) -> None:
        assert here.cleanup.is_running
        with pytest.raises(CleanupInProgress) as error:
            await here.cleanup.run(ALL)
        refused.append(error.value.user_message)

    assert (await here.cleanup.run(ALL, on_progress=again, include_orphans=False)).deleted == 1
    assert len(refused) == 1
    assert not here.cleanup.is_running


async def test_a_runtime_failure_gives_a_user_message(here: CleanupFixture) -> None:
    await here.agent.__aexit__(None, None, None)
    with pytest.raises(AgentError):
        await here.cleanup.preview(ALL)
