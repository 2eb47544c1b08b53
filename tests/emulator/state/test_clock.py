"""The emulator's clock runs by itself, and can be advanced."""

from __future__ import annotations

import asyncio

import pytest

from slack_emulator.state.clock import EmulatorClock, finishes_within
from tests.emulator_client import EmulatorClient
from tests.fakes import ManualClock


async def test_an_advance_wakes_sleeps_that_are_due() -> None:
    base = ManualClock()
    clock = EmulatorClock(base)
    short = asyncio.create_task(clock.sleep(10))
    long = asyncio.create_task(clock.sleep(100))
    await base.advance(0)  # lets both go to sleep
    before = clock.now()
    clock.advance(10)
    async with asyncio.timeout(30):
        await short
    assert clock.now() == before + 10
    assert not long.done()
    clock.advance(90)
    async with asyncio.timeout(30):
        await long


async def test_what_is_awaited_may_come_in_time_or_too_late() -> None:
    base = ManualClock()
    clock = EmulatorClock(base)
    come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    come.set_result(None)
    assert await finishes_within(clock, 3, come)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(finishes_within(clock, 3, never))
    await base.advance(0)  # lets it go to sleep
    clock.advance(3)
    async with asyncio.timeout(30):
        assert not await waiting


def test_the_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        EmulatorClock(ManualClock()).advance(-1)


@pytest.mark.parametrize(
    "body", ['{"advance": -1}', '{"advance": true}', "{}", "[]", "no", "1e999"]
)
async def test_a_wrong_move_is_refused_with_a_sentence(client: EmulatorClient, body: str) -> None:
    async with client.http.post(f"{client.url}/sandbox/clock", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].endswith(".")
