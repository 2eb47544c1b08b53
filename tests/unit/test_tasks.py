"""Work after the acknowledgement is bounded, and its trouble is its own."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.errors import SlackError
from bot.tasks import Background


async def test_no_more_is_begun_than_fits() -> None:
    background, gate = Background(limit=2), asyncio.Event()
    assert background.start("one", _wait(gate)) is not None
    assert background.start("two", _wait(gate)) is not None
    assert background.start("three", _wait(gate)) is None
    gate.set()
    await background.close()
    assert background.start("four", _wait(gate)) is not None
    await background.close()


async def test_what_takes_too_long_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    background = Background(seconds=0.01)
    task = background.start("endless", _wait(asyncio.Event()))
    assert task is not None
    await task
    assert "endless failed" in caplog.text


async def test_trouble_is_logged_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    caplog.set_level(logging.WARNING)
    for error in (SlackError("ratelimited"), RuntimeError("odd")):
        task = background.start("a page", _fail(error))
        assert task is not None
        await task
    assert [record.getMessage() for record in caplog.records] == [
        "a page: ratelimited",
        "a page failed",
    ]


async def test_closing_waits_a_little_and_then_cancels() -> None:
    background = Background()
    slow = background.start("slow", _wait(asyncio.Event()))
    await background.close(grace=0.01)
    assert slow is not None
    assert slow.cancelled()


async def _wait(gate: asyncio.Event) -> None:
    await gate.wait()


async def _fail(error: Exception) -> None:
    raise error
