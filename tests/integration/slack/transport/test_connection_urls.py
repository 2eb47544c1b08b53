"""Connection URLs are requested as Slack allows: a few at once, then with growing pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SlackError
from bot.slack.api.calls import SlackCallError
from bot.slack.api.rate_limiter import MAX_RETRY_AFTER_SECONDS
from bot.slack.transport.socket_client import ConnectionUrls
from tests.conformance.http_client import APP, Outside, emulator_over_http, wait_until
from tests.fakes import ManualClock

PAUSE = 10.0


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        yield outside


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connection_urls(outside: Outside, clock: ManualClock) -> ConnectionUrls:
    return connection_urls_for(outside, clock)


def connection_urls_for(outside: Outside, clock: ManualClock, token: str = APP) -> ConnectionUrls:
    client = AsyncWebClient(base_url=f"{outside.url}/api/", retry_handlers=[])
    return ConnectionUrls(client=client, app_token=token, clock=clock, burst=2, pause_seconds=PAUSE)


async def when_given(tickets: ConnectionUrls, clock: ManualClock) -> float:
    """Time in seconds until the next URL is returned (or refused)."""
    began = clock.now()
    asking = asyncio.create_task(tickets.next_url())
    while not asking.done():
        # Only the pause before the call uses this clock; the call uses the machine's.
        await wait_until(lambda: _asleep_or_done(clock, asking), "it waits, or is answered")
        if not asking.done():
            await clock.advance(1)
    with suppress(SlackCallError):
        await asking
    return clock.now() - began


async def _asleep_or_done(clock: ManualClock, asking: asyncio.Task[str]) -> bool:
    return asking.done() or clock.sleeping > 0


async def test_one_for_each_connection_is_given_at_once_then_ever_more_slowly(
    connection_urls: ConnectionUrls, clock: ManualClock
) -> None:
    waits = [await when_given(connection_urls, clock) for _ in range(8)]
    assert waits == [0, 0, 10, 20, 40, 60, 60, 60]


async def test_a_connection_url_that_leads_in_makes_the_next_ones_quick_again(
    connection_urls: ConnectionUrls, clock: ManualClock
) -> None:
    for _ in range(5):
        await when_given(connection_urls, clock)
    connection_urls.reset_backoff()
    assert [await when_given(connection_urls, clock) for _ in range(3)] == [0, 0, 10]


async def test_slack_is_left_alone_for_as_long_as_it_says(
    outside: Outside, connection_urls: ConnectionUrls, clock: ManualClock
) -> None:
    fault = {"method": "apps.connections.open", "kind": "429", "retry_after": 45, "times": 1}
    await outside.control("faults", fault)
    with pytest.raises(SlackCallError, match="ratelimited"):
        await connection_urls.next_url()
    assert await when_given(connection_urls, clock) == 45


async def test_the_wait_for_a_connection_url_has_a_maximum(
    outside: Outside, connection_urls: ConnectionUrls, clock: ManualClock
) -> None:
    fault = {"method": "apps.connections.open", "kind": "429", "retry_after": 3600, "times": 1}
    await outside.control("faults", fault)
    with pytest.raises(SlackCallError, match="ratelimited"):
        await connection_urls.next_url()
    assert await when_given(connection_urls, clock) == MAX_RETRY_AFTER_SECONDS


async def test_all_connections_together_ask_no_more_often_than_one(
    outside: Outside, connection_urls: ConnectionUrls, clock: ManualClock
) -> None:
    asking = [asyncio.create_task(connection_urls.next_url()) for _ in range(4)]

    async def two_are_given() -> bool:
        return sum(task.done() for task in asking) == 2 and clock.sleeping > 0

    await wait_until(two_are_given, "two tickets are given, and the next one has to wait")
    assert len(await outside.calls("apps.connections.open")) == 2
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)


async def test_a_bad_token_is_one_clear_error_at_the_start(
    outside: Outside, clock: ManualClock
) -> None:
    with pytest.raises(SlackError, match="SLACK_APP_TOKEN") as caught:
        await connection_urls_for(outside, clock, token="xapp-wrong").first_url()
    assert "xapp-wrong" not in str(caught.value)
    assert APP not in repr(connection_urls_for(outside, clock))
