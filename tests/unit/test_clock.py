"""Waits and time limits exclude the time in which this process stalled."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot import clock as clocks
from bot.clock import SYSTEM_CLOCK, sleep_excluding_stalls, time_limit
from tests.fakes import ManualClock


async def test_without_a_stall_a_wait_takes_its_time() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(sleep_excluding_stalls(clock, 120))
    await clock.advance(119.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()


async def test_a_stall_is_excluded_from_a_wait() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(sleep_excluding_stalls(clock, 120))
    await clock.advance(10)
    await clock.jump(500)
    assert not waiting.done()
    await clock.advance(100)
    assert not waiting.done()
    await clock.advance(15)
    assert waiting.done()


@pytest.mark.parametrize("before", [115.1, 119.0, 119.9])
async def test_after_a_stall_at_the_end_there_is_time_to_read_what_arrived(
    before: float,
) -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(sleep_excluding_stalls(clock, 120))
    await clock.advance(before)
    await clock.jump(30)
    assert not waiting.done()
    await clock.advance(1.9)
    assert not waiting.done()
    await clock.advance(6)
    assert waiting.done()


async def test_repeated_stalls_never_end_a_wait() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(sleep_excluding_stalls(clock, 3))
    for _ in range(50):
        await clock.jump(60)
    assert not waiting.done()
    await clock.advance(5)
    assert waiting.done()


async def test_a_wait_starts_over_when_its_start_moves() -> None:
    clock = ManualClock()
    active = 0.0
    waiting = asyncio.create_task(sleep_excluding_stalls(clock, 10, since=lambda: active))
    await clock.advance(9)
    active = clock.monotonic()
    await clock.jump(60)
    await clock.advance(8)
    assert not waiting.done()
    await clock.advance(5)
    assert waiting.done()


async def test_work_done_during_a_stall_is_not_late() -> None:
    clock = ManualClock()
    done = asyncio.Event()

    async def work() -> str:
        async with time_limit(clock, 30):
            await done.wait()
        return "done"

    working = asyncio.create_task(work())
    await clock.advance(29)
    await clock.jump(300)
    done.set()
    assert await working == "done"


async def test_work_above_the_time_limit_raises() -> None:
    clock = ManualClock()

    async def work() -> None:
        async with time_limit(clock, 30):
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await clock.advance(31)
    with pytest.raises(TimeoutError):
        await working


async def test_on_the_system_clock_a_stall_is_excluded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a stall there is time to read what arrived during it."""
    monkeypatch.setattr(clocks, "_STALL_SECONDS", 0.2)
    read = False
    async with time_limit(SYSTEM_CLOCK, 0.3):
        time.sleep(1.0)  # noqa: ASYNC251 # stalls the whole process
        for _ in range(5):
            await asyncio.sleep(0.01)
        read = True
    assert read


async def test_on_the_system_clock_work_above_the_limit_raises() -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(SYSTEM_CLOCK, 0.05):
            await asyncio.Event().wait()
    async with time_limit(SYSTEM_CLOCK, 3_600):
        pass
