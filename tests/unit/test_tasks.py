"""Background tasks are bounded, and their failures affect nothing else."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.errors import SlackError
from bot.tasks import BackgroundTasks


async def test_the_number_of_tasks_is_bounded() -> None:
    background, gate = BackgroundTasks(limit=2), asyncio.Event()
    assert background.spawn("one", _wait(gate)) is not None
    assert background.spawn("two", _wait(gate)) is not None
    assert background.spawn("three", _wait(gate)) is None
    gate.set()
    await background.close()
    assert background.spawn("four", _wait(gate)) is not None
    await background.close()


async def test_a_task_above_the_timeout_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    background = BackgroundTasks(timeout=0.01)
    task = background.spawn("endless", _wait(asyncio.Event()))
    assert task is not None
    await task
    assert "task failed: name=endless" in caplog.text
    assert "TimeoutError" in caplog.text, "with the place where it hung"


async def test_a_failure_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    background = BackgroundTasks()
    caplog.set_level(logging.WARNING)
    for error in (SlackError("ratelimited"), RuntimeError("odd")):
        task = background.spawn("a page", _fail(error))
        assert task is not None
        await task
    assert [record.getMessage() for record in caplog.records] == [
        "task failed: name=a page reason=ratelimited",
        "task failed: name=a page",
    ]


async def test_close_waits_for_the_grace_and_then_cancels() -> None:
    background = BackgroundTasks()
    slow = background.spawn("slow", _wait(asyncio.Event()))
    await background.close(grace=0.01)
    assert slow is not None
    assert slow.cancelled()


async def test_one_unique_task_of_a_name_runs_at_a_time() -> None:
    background = BackgroundTasks()
    first = background.spawn("unique", _wait(asyncio.Event()), unique=True)
    assert first is not None
    assert background.is_running("unique")
    assert background.spawn("unique", _wait(asyncio.Event()), unique=True) is None
    background.cancel("unique")
    await asyncio.wait([first])
    await asyncio.sleep(0)
    assert not background.is_running("unique")
    assert background.spawn("unique", _wait(asyncio.Event()), unique=True) is not None
    await background.close(grace=0)
    assert len(background) == 0


async def test_failures_of_optional_tasks_are_no_warnings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    background = BackgroundTasks(limit=1, optional=True)
    caplog.set_level(logging.INFO)
    task = background.spawn("a page", _fail(SlackError("ratelimited")))
    assert background.spawn("another", _wait(asyncio.Event())) is None
    assert task is not None
    await task
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "task failed: name=a page reason=ratelimited")
    ]


async def _wait(gate: asyncio.Event) -> None:
    await gate.wait()


async def _fail(error: Exception) -> None:
    raise error
