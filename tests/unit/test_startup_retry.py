"""Transient failures at the start are retried at a bounded rate."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bot.errors import DataFolderInUse, SlackError, StoreError
from bot.slack.api.calls import RATE_LIMITED, SlackCallError
from bot.startup_retry import MAX_RETRY_AFTER_SECONDS, RETRY_MAX_SECONDS, retry_until_started
from tests.fakes import ManualClock


class Trying:
    """Records its attempts; fails with each of these errors, and then succeeds."""

    def __init__(self, clock: ManualClock, *errors: Exception) -> None:
        self._clock = clock
        self._errors = iter(errors)
        self.at: list[float] = []

    async def __call__(self) -> str:
        self.at.append(self._clock.monotonic())
        for error in self._errors:
            raise error
        return "up"

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.at)]


async def lived(clock: ManualClock, trying: Trying) -> str:
    """The result of the attempts, while the clock advances."""
    task = asyncio.create_task(retry_until_started(clock, "Slack", trying))
    while not task.done():
        await clock.advance(1.0)
    return task.result()


async def test_the_retry_interval_grows_to_half_a_minute() -> None:
    clock = ManualClock()
    trying = Trying(clock, *[SlackCallError("unreachable")] * 9)
    assert await lived(clock, trying) == "up"
    assert trying.pauses == [1, 2, 4, 8, 16, *[RETRY_MAX_SECONDS] * 4]


async def test_a_requested_pause_is_kept_up_to_five_minutes() -> None:
    clock = ManualClock()
    trying = Trying(
        clock,
        SlackCallError(RATE_LIMITED, retry_after=60.0),
        SlackCallError(RATE_LIMITED, retry_after=86_400.0),
    )
    assert await lived(clock, trying) == "up"
    assert trying.pauses == [60, MAX_RETRY_AFTER_SECONDS]


@pytest.mark.parametrize(
    "error",
    [
        SlackCallError("invalid_auth"),
        SlackError("not_a_bot_token"),
        DataFolderInUse("in use"),
        StoreError("damaged"),
        KeyError("a fault of the bot's own"),
    ],
)
async def test_a_permanent_error_is_not_retried(error: Exception) -> None:
    clock = ManualClock()
    trying = Trying(clock, SlackCallError("unreachable"), error)
    with pytest.raises(type(error)) as caught:
        await lived(clock, trying)
    assert caught.value is error
    assert len(trying.at) == 2
