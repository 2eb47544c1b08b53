"""Tickets are asked for as often as Slack likes it: a few at once, then ever more slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SlackError
from bot.slack.api.calls import CallError
from bot.slack.api.rate_limiter import LONGEST_CLOSED
from bot.slack.transport.socket_client import Tickets
from tests.conformance.http_client import APP, Outside, eventually, sandbox_from_outside
from tests.fakes import HandClock

PAUSE = 10.0


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def tickets(outside: Outside, clock: HandClock) -> Tickets:
    return tickets_for(outside, clock)


def tickets_for(outside: Outside, clock: HandClock, token: str = APP) -> Tickets:
    client = AsyncWebClient(base_url=f"{outside.url}/api/", retry_handlers=[])
    return Tickets(client=client, app_token=token, clock=clock, at_once=2, pause=PAUSE)


async def when_given(tickets: Tickets, clock: HandClock) -> float:
    """The seconds after which the next ticket is given (or refused)."""
    began = clock.now()
    asking = asyncio.create_task(tickets.next())
    while not asking.done():
        # Only the wait for its turn goes by this clock; the call itself goes by the machine's.
        await eventually(lambda: _asleep_or_done(clock, asking), "it waits, or is answered")
        if not asking.done():
            await clock.advance(1)
    with suppress(CallError):
        await asking
    return clock.now() - began


async def _asleep_or_done(clock: HandClock, asking: asyncio.Task[str]) -> bool:
    return asking.done() or clock.sleeping > 0


async def test_one_for_each_line_is_given_at_once_then_ever_more_slowly(
    tickets: Tickets, clock: HandClock
) -> None:
    waits = [await when_given(tickets, clock) for _ in range(8)]
    assert waits == [0, 0, 10, 20, 40, 60, 60, 60]


async def test_a_ticket_that_leads_in_makes_the_next_ones_quick_again(
    tickets: Tickets, clock: HandClock
) -> None:
    for _ in range(5):
        await when_given(tickets, clock)
    tickets.led_in()
    assert [await when_given(tickets, clock) for _ in range(3)] == [0, 0, 10]


async def test_slack_is_left_alone_for_as_long_as_it_says(
    outside: Outside, tickets: Tickets, clock: HandClock
) -> None:
    fault = {"method": "apps.connections.open", "kind": "429", "retry_after": 45, "times": 1}
    await outside.control("faults", fault)
    with pytest.raises(CallError, match="ratelimited"):
        await tickets.next()
    assert await when_given(tickets, clock) == 45


async def test_no_ticket_is_waited_for_longer_than_slack_is_taken_at_its_word(
    outside: Outside, tickets: Tickets, clock: HandClock
) -> None:
    fault = {"method": "apps.connections.open", "kind": "429", "retry_after": 3600, "times": 1}
    await outside.control("faults", fault)
    with pytest.raises(CallError, match="ratelimited"):
        await tickets.next()
    assert await when_given(tickets, clock) == LONGEST_CLOSED


async def test_all_lines_together_ask_no_more_often_than_one(
    outside: Outside, tickets: Tickets, clock: HandClock
) -> None:
    asking = [asyncio.create_task(tickets.next()) for _ in range(4)]

    async def two_are_given() -> bool:
        return sum(task.done() for task in asking) == 2 and clock.sleeping > 0

    await eventually(two_are_given, "two tickets are given, and the next one has to wait")
    assert len(await outside.calls("apps.connections.open")) == 2
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)


async def test_a_bad_token_is_one_clear_error_at_the_start(
    outside: Outside, clock: HandClock
) -> None:
    with pytest.raises(SlackError, match="SLACK_APP_TOKEN") as caught:
        await tickets_for(outside, clock, token="xapp-wrong").first()
    assert "xapp-wrong" not in str(caught.value)
    assert APP not in repr(tickets_for(outside, clock))
