"""The checkpoint is saved, and a gap stays open until it is filled."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bot.errors import SlackError
from bot.ports import Checkpoint, Store
from bot.slack.events.backfill import BackfillProgress, BackfillReport
from bot.slack.events.gaps import (
    CHECK_SECONDS,
    MAX_RETRY_SECONDS,
    OVERLAP_SECONDS,
    RETRY_SECONDS,
    SAVE_SECONDS,
    GapMonitor,
)
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.conformance.http_client import wait_until
from tests.fakes import ManualClock

HOUR = 3_600.0
DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(tmp_path, clock=clock, max_running_per_user=2) as store:
        yield store


class RecordingBackfill:
    """Records the start of each backfill. It fails `failing` times, and `in_part` times for some
    targets; `released` is set when a backfill may end."""

    def __init__(self) -> None:
        self.since: list[float] = []
        self.progress: list[BackfillProgress] = []
        self.failing = 0
        self.in_part = 0
        self.released = asyncio.Event()
        self.released.set()

    async def __call__(self, began: float, progress: BackfillProgress) -> BackfillReport:
        self.since.append(began)
        self.progress.append(progress)
        await self.released.wait()
        if self.failing:
            self.failing -= 1
            raise SlackError("unreachable")
        if self.in_part:
            self.in_part -= 1
            return BackfillReport(unread_count=2, retryable_count=1)
        return BackfillReport(unread_count=1)

    async def until(self, times: int) -> None:
        async def looked() -> bool:
            return len(self.since) >= times

        await wait_until(looked, f"it has been looked {times} times")


@asynccontextmanager
async def gap_monitor(
    store: Store, clock: ManualClock, looking: RecordingBackfill, max_seconds: float = HOUR
) -> AsyncIterator[GapMonitor]:
    gaps = GapMonitor(store, clock, looking, max_seconds=max_seconds)
    async with gaps.monitoring():
        yield gaps


async def saved_checkpoint(store: Store, until: float) -> None:
    async def so() -> bool:
        checkpoint = await store.load_checkpoint()
        return checkpoint is not None and checkpoint.until == until

    await wait_until(so, f"the checkpoint is {until}")


async def pass_ticks(store: Store, clock: ManualClock, seconds: float) -> None:
    """Let time pass in steps of one check, each with its write."""
    await sleeps(clock, seconds)
    await store.load_checkpoint()  # the pending write is on disk


async def sleeps(clock: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds / CHECK_SECONDS)):

        async def asleep() -> bool:
            return clock.sleeping > 0

        await wait_until(asleep, "it waits for the next look")
        await clock.advance(CHECK_SECONDS)


async def test_the_first_start_ever_has_nothing_to_look_for(
    store: Store, clock: ManualClock
) -> None:
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, clock.now())
    assert looking.since == []
    assert await store.load_checkpoint() == Checkpoint(since=clock.now(), until=clock.now())


async def test_it_is_noted_every_minute_and_at_the_end(store: Store, clock: ManualClock) -> None:
    began = clock.now()
    async with gap_monitor(store, clock, RecordingBackfill()) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, began)
        await pass_ticks(store, clock, SAVE_SECONDS - CHECK_SECONDS)
        assert await store.load_checkpoint() == Checkpoint(since=began, until=began)
        await pass_ticks(store, clock, CHECK_SECONDS)
        await saved_checkpoint(store, began + SAVE_SECONDS)
        await clock.advance(5)
    await saved_checkpoint(store, began + SAVE_SECONDS + 5)


async def test_while_disconnected_no_checkpoint_is_saved(store: Store, clock: ManualClock) -> None:
    began = clock.now()
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, began)
        gaps.set_connected(False)
        await pass_ticks(store, clock, 600)
        assert await store.load_checkpoint() == Checkpoint(since=began, until=began)
        gaps.set_connected(True)
        await looking.until(1)
        await saved_checkpoint(store, clock.now())
    assert looking.since == [began]


async def test_after_a_restart_it_is_looked_a_little_further_back_than_noted(
    store: Store, clock: ManualClock
) -> None:
    """As far back as Slack may still have retried deliveries."""
    await store.save_checkpoint(clock.now() - 5_000)
    await store.save_checkpoint(clock.now() - 1_000)
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
    assert looking.since == [clock.now() - 1_000 - OVERLAP_SECONDS]


@pytest.mark.parametrize(
    ("checkpoint", "max_seconds", "since"),
    [
        ((5_000, 1_000), 300, 300),  # not further back than the limit
        ((1_100, 1_000), HOUR, 1_100),  # nor before the first start of the bot
    ],
)
async def test_it_is_not_looked_further_back(
    store: Store,
    clock: ManualClock,
    checkpoint: tuple[float, float],
    max_seconds: float,
    since: float,
) -> None:
    for ago in checkpoint:
        await store.save_checkpoint(clock.now() - ago)
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking, max_seconds) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
    assert looking.since == [clock.now() - since]


async def test_a_gap_that_is_not_filled_yet_is_looked_for_again_after_a_restart(
    store: Store, clock: ManualClock
) -> None:
    until = clock.now() - 1_000
    await store.save_checkpoint(until)
    looking = RecordingBackfill()
    looking.released.clear()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
    assert await store.load_checkpoint() == Checkpoint(since=until, until=until)


async def test_a_gap_is_retried_until_it_is_read_with_growing_pauses(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The checkpoint does not move before the gap is read, however long that takes. The start of
    the gap does not pass the limit of age during the retries."""
    until = clock.now() - 1_000
    await store.save_checkpoint(until)
    looking = RecordingBackfill()
    looking.failing = 20
    times: list[float] = []
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        for tries in range(1, 22):
            await looking.until(tries)
            times.append(clock.monotonic())
            if tries <= 20:
                assert gaps.has_gap
                assert await store.load_checkpoint() == Checkpoint(since=until, until=until)
                pause = min(RETRY_SECONDS * 2.0 ** (tries - 1), MAX_RETRY_SECONDS)
                await pass_ticks(store, clock, pause)
        await saved_checkpoint(store, clock.now())
        assert not gaps.has_gap
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[:6] == [10, 20, 40, 80, 160, 300]
    assert set(pauses[5:]) == {MAX_RETRY_SECONDS}
    assert times[-1] > HOUR, "longer than it is looked back"
    assert looking.since == [until] * 21
    assert len({id(each) for each in looking.progress}) == 1
    assert caplog.text.count("gap not filled yet") == 20


async def test_a_slack_that_is_connected_again_is_asked_at_once(
    store: Store, clock: ManualClock
) -> None:
    await store.save_checkpoint(clock.now() - 1_000)
    looking = RecordingBackfill()
    looking.failing = 5
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        for tries in range(1, 6):
            await looking.until(tries)
            await pass_ticks(store, clock, RETRY_SECONDS * 2.0 ** (tries - 1) - CHECK_SECONDS)
            if tries < 5:
                await pass_ticks(store, clock, CHECK_SECONDS)
        gaps.set_connected(False)
        gaps.set_connected(True)
        await looking.until(6)
        await saved_checkpoint(store, clock.now())


# The clock is wrong -----------------------------------------------------------------------------


async def test_a_note_of_a_time_that_has_not_come_is_none(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One start with a clock a day ahead does not hide the gap of the next start."""
    ahead = ManualClock(clock.now() + DAY)
    await store.save_checkpoint(clock.now() - 2 * HOUR)
    async with gap_monitor(store, ahead, RecordingBackfill()) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, ahead.now())
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
        await saved_checkpoint(store, clock.now())
        assert "the clock is or was wrong" in caplog.text
        await clock.advance(100)
    assert looking.since == [clock.now() - 100 - HOUR]
    again = RecordingBackfill()
    async with gap_monitor(store, clock, again) as gaps:
        gaps.set_connected(True)
        await again.until(1)
    assert again.since == [clock.now() - OVERLAP_SECONDS], "the wrong note is gone"


async def test_the_first_start_ever_with_a_clock_that_is_ahead_hides_nothing_later(
    store: Store, clock: ManualClock
) -> None:
    ahead = ManualClock(clock.now() + DAY)
    async with gap_monitor(store, ahead, RecordingBackfill()) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, ahead.now())
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
        await saved_checkpoint(store, clock.now())
    assert looking.since == [clock.now() - HOUR]
    checkpoint = await store.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint.since == clock.now()


@pytest.mark.parametrize("seconds", [-DAY, -HOUR, HOUR, DAY])
async def test_a_clock_that_is_put_forward_or_back_under_the_bot_is_a_gap(
    store: Store, clock: ManualClock, seconds: float
) -> None:
    """If the clock jumps forward, the machine may have slept and received nothing."""
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking, 2 * DAY) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, clock.now())
        await pass_ticks(store, clock, SAVE_SECONDS)
        known, began = clock.now(), clock.now() - SAVE_SECONDS
        clock.set_to(seconds)
        await pass_ticks(store, clock, CHECK_SECONDS)
        await looking.until(1)
        await saved_checkpoint(store, clock.now())
        await pass_ticks(store, clock, 10 * CHECK_SECONDS)
    if seconds > 0:
        assert looking.since == [max(began, known - OVERLAP_SECONDS)]
    else:
        assert len(looking.since) == 1
        assert looking.since[0] < known + seconds


async def test_a_clock_that_is_set_by_a_few_seconds_is_no_gap(
    store: Store, clock: ManualClock
) -> None:
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, clock.now())
        for seconds in (-20, 15, -3):
            clock.set_to(seconds)
            await pass_ticks(store, clock, SAVE_SECONDS)
        await saved_checkpoint(store, clock.now())
    assert looking.since == []


async def test_a_machine_that_sleeps_before_the_bot_ends_leaves_a_gap(
    store: Store, clock: ManualClock
) -> None:
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, clock.now())
        known = clock.now()
        clock.set_to(HOUR)
    assert await store.load_checkpoint() == Checkpoint(since=known, until=known)


async def test_a_gap_that_is_longer_than_it_is_looked_back_is_reported(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save_checkpoint(clock.now() - DAY)
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
    assert looking.since == [clock.now() - HOUR]
    assert "gap of 86400 s is longer than CATCH_UP_SECONDS (3600)" in caplog.text


async def test_what_could_not_be_read_of_a_thread_is_a_gap_though_all_else_was_received(
    store: Store, clock: ManualClock
) -> None:
    await store.save_checkpoint(clock.now() - HOUR / 2)
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
        await saved_checkpoint(store, clock.now())
        looking.failing = 1
        gaps.report_unread(clock.now() - HOUR / 4)
        await looking.until(2)
        assert gaps.has_gap
        gaps.report_unread(clock.now() - HOUR / 5)
        await pass_ticks(store, clock, RETRY_SECONDS)
        await looking.until(3)
        await saved_checkpoint(store, clock.now())
    since = clock.now() - RETRY_SECONDS - HOUR / 4
    assert looking.since[1:] == [since, since]


async def test_loading_the_checkpoint_is_retried(
    store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    until = clock.now() - 1_000
    await store.save_checkpoint(until)
    looking = RecordingBackfill()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        database.execute("ALTER TABLE hearing RENAME TO away")
        async with gap_monitor(store, clock, looking) as gaps:
            gaps.set_connected(True)
            await sleeps(clock, 6 * MAX_RETRY_SECONDS)
            assert looking.since == []
            database.execute("ALTER TABLE away RENAME TO hearing")
            await sleeps(clock, MAX_RETRY_SECONDS)
            await looking.until(1)
    assert looking.since == [until]


# ------------------------------------------------------------------------------------------------


async def test_a_place_that_slack_does_not_give_yet_is_looked_for_again(
    store: Store, clock: ManualClock
) -> None:
    """After an outage Slack may take minutes until it returns messages; until then the gap stays
    open, also after a restart of the bot."""
    until = clock.now() - 1_000
    await store.save_checkpoint(until)
    looking = RecordingBackfill()
    looking.in_part = 2
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        for times in (1, 2):
            await looking.until(times)
            assert await store.load_checkpoint() == Checkpoint(since=until, until=until)
            await pass_ticks(store, clock, RETRY_SECONDS * times)
        await looking.until(3)
        await pass_ticks(store, clock, SAVE_SECONDS)
    await saved_checkpoint(store, clock.now())
    assert len(looking.since) == 3


@asynccontextmanager
async def cut_off_while_reading(
    store: Store, clock: ManualClock, looking: RecordingBackfill
) -> AsyncIterator[GapMonitor]:
    """Inside, the bot is disconnected while a gap that has just ended is being read."""
    await store.save_checkpoint(clock.now())
    looking.released.clear()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await looking.until(1)
        gaps.set_connected(False)
        yield gaps


async def test_a_gap_that_begins_while_another_is_filled_is_looked_for_as_well(
    store: Store, clock: ManualClock
) -> None:
    until, looking = clock.now(), RecordingBackfill()
    async with cut_off_while_reading(store, clock, looking) as gaps:
        await clock.advance(100)
        gaps.set_connected(True)
        looking.released.set()
        await looking.until(2)
        await saved_checkpoint(store, clock.now())
    assert looking.since == [until, until]


async def test_messages_without_a_connection_while_a_gap_is_read_are_fetched_as_well(
    store: Store, clock: ManualClock
) -> None:
    """Reading an earlier gap does not cover messages posted during the reading."""
    until, looking = clock.now(), RecordingBackfill()
    async with cut_off_while_reading(store, clock, looking) as gaps:
        await clock.advance(1_000)
        looking.released.set()
        await pass_ticks(store, clock, 1_000)
        assert await store.load_checkpoint() == Checkpoint(since=until, until=until)
        gaps.set_connected(True)
        await looking.until(2)
        await saved_checkpoint(store, clock.now())
    assert looking.since == [until, until]


async def test_a_checkpoint_that_cannot_be_saved_ends_nothing(
    store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    began = clock.now()
    looking = RecordingBackfill()
    async with gap_monitor(store, clock, looking) as gaps:
        gaps.set_connected(True)
        await saved_checkpoint(store, began)
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
            database.execute(
                "CREATE TRIGGER trouble BEFORE UPDATE ON hearing BEGIN SELECT RAISE(ABORT, ''); END"
            )
            await pass_ticks(store, clock, 2 * SAVE_SECONDS)
            assert await store.load_checkpoint() == Checkpoint(since=began, until=began)
            database.execute("DROP TRIGGER trouble")
        await pass_ticks(store, clock, SAVE_SECONDS)
    assert (await store.load_checkpoint()) == Checkpoint(since=began, until=clock.now())
