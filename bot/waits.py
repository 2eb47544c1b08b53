"""Waiting for what happens or for time to pass, whichever comes first, by a clock handed in."""

from __future__ import annotations

import asyncio

from bot.ports import Clock


async def set_or_past(event: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Wait until `event` is set or `seconds` have passed; None waits for the event alone."""
    if event.is_set():
        return
    waits = [asyncio.create_task(_happens(event))]
    if seconds is not None:
        waits.append(asyncio.create_task(_passes(clock, seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _happens(event: asyncio.Event) -> None:
    await event.wait()


async def _passes(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
