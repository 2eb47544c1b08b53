"""Two connections to Slack: while one breaks or is renewed, the other receives events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.tasks import BackgroundTasks
from tests.conformance.http_client import ALICE, GENERAL, Outside, emulator_over_http, wait_until
from tests.fakes import OffsetClock
from tests.integration.slack.gateway_fixtures import (
    FREQUENT_PING_SECONDS,
    GatewayFixture,
    gateway_fixture,
    open_connections,
    socket_transport,
    wait_for_connections,
)
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for

CONNECTION_URL = "apps.connections.open"
OF_OTHERS = "another program uses this SLACK_APP_TOKEN"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        yield outside


@pytest.fixture
async def bot(outside: Outside) -> AsyncIterator[GatewayFixture]:
    async with gateway_fixture(outside, ping_seconds=FREQUENT_PING_SECONDS) as bot:
        await wait_for_connections(outside, 2)
        yield bot


async def trouble(outside: Outside, kind: str, **more: object) -> None:
    await outside.control("faults", {"socket": kind, **more})


async def says(bot: GatewayFixture, *texts: str) -> None:
    for text in texts:
        await bot.outside.say(ALICE, GENERAL, f"@threadpilot {text}")


async def wait_until_received(bot: GatewayFixture, *texts: str) -> None:
    """Wait until exactly these were received, each once."""
    await bot.receiver.wait_until(lambda receiver: len(receiver.messages) >= len(texts), seconds=20)
    assert sorted(one.text for one in bot.receiver.messages) == sorted(texts)


async def test_two_connections_that_are_all_our_own_are_no_other_program(
    bot: GatewayFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Also just after a replacement, when Slack may still count the old ones."""
    for kind in ("drop", "half-open", "disconnect"):
        before = len(await bot.outside.calls(CONNECTION_URL))
        await trouble(bot.outside, kind)

        async def replaced(before: int = before) -> bool:
            requests = len(await bot.outside.calls(CONNECTION_URL))
            return requests >= before + 2 and await open_connections(bot.outside) == 2

        await wait_until(replaced, f"both lines are new after {kind}", max_wait=30)
    assert OF_OTHERS not in caplog.text


async def test_the_bot_receives_events_though_the_second_connection_has_to_wait(
    outside: Outside,
) -> None:
    """Slack gives few URLs a minute; the start waits for one connection only."""
    for _ in range(9):
        await outside.act(CONNECTION_URL, "xapp-sandbox")
    clock = OffsetClock()
    async with gateway_fixture(outside, clock=clock) as bot:
        await says(bot, "one line is enough")
        await wait_until_received(bot, "one line is enough")
        assert await open_connections(outside) == 1

        async def refused() -> bool:
            return any(call["status"] == 429 for call in await outside.calls(CONNECTION_URL))

        await wait_until(refused, "Slack has no second ticket yet")
        await outside.advance(60)

        async def both() -> bool:
            clock.move_forward(30)
            return await open_connections(outside) == 2

        await wait_until(both, "the second line is up", max_wait=30)


@pytest.mark.parametrize("kind", ["drop", "disconnect"])
async def test_messages_while_one_connection_closes_are_received_by_the_other(
    bot: GatewayFixture, kind: str
) -> None:
    await trouble(bot.outside, kind, lines=1)
    texts = [f"number {n}" for n in range(6)]
    await says(bot, *texts)
    await wait_until_received(bot, *texts)
    await wait_for_connections(bot.outside, 2)


async def test_what_goes_into_a_connection_that_is_half_open_is_brought_again_by_the_other(
    bot: GatewayFixture,
) -> None:
    await trouble(bot.outside, "half-open", lines=1)
    await says(bot, "one", "two", "three")
    await bot.outside.advance(4)  # Slack waits 3 s for an acknowledgement
    await wait_until_received(bot, "one", "two", "three")


async def test_both_connections_are_never_renewed_at_once(bot: GatewayFixture) -> None:
    """Slack warns of both at the same moment: one stays until the other is back, though that takes
    a few tries. Messages in between arrive without a retry of Slack."""
    before = len(await bot.outside.calls(CONNECTION_URL))
    await trouble(bot.outside, "refuse", times=2)
    await trouble(bot.outside, "disconnect")
    texts, open_lines = [], []
    for number in range(20):
        texts.append(f"number {number}")
        await says(bot, texts[-1])
        open_lines.append(await open_connections(bot.outside))
    await wait_until_received(bot, *texts)

    async def renewed() -> bool:
        open_lines.append(await open_connections(bot.outside))
        return len(await bot.outside.calls(CONNECTION_URL)) >= before + 4 and open_lines[-1] == 2

    await wait_until(renewed, "both lines are new", max_wait=30)
    assert min(open_lines) >= 1


async def test_both_connections_come_back_after_connection_urls_that_were_dead(
    bot: GatewayFixture,
) -> None:
    before = len(await bot.outside.calls(CONNECTION_URL))
    await trouble(bot.outside, "dead-ticket", times=3)
    await trouble(bot.outside, "drop")
    await wait_for_connections(bot.outside, 2)
    assert len(await bot.outside.calls(CONNECTION_URL)) >= before + 5
    await says(bot, "back again")
    await wait_until_received(bot, "back again")


async def test_a_slack_that_refuses_every_connection_gets_few_requests(bot: GatewayFixture) -> None:
    """The bot connects again when Slack accepts it."""
    before = len(await bot.outside.calls(CONNECTION_URL))
    await trouble(bot.outside, "refuse", times=10_000)
    await trouble(bot.outside, "drop")
    await wait_for_connections(bot.outside, 0)

    async def five_more() -> bool:
        return len(await bot.outside.calls(CONNECTION_URL)) >= before + 5

    await wait_until(five_more, "five URLs were requested", max_wait=30)
    # The pauses are 0.2, 0.4 and 0.8 s if the connections are checked every 0.2 s.
    times = [call["time"] for call in (await bot.outside.calls(CONNECTION_URL))[before:]]
    assert times[4] - times[0] > 1.3
    async with bot.outside.http.delete(f"{bot.outside.url}/sandbox/faults") as cleared:
        assert cleared.status == 200
    await wait_for_connections(bot.outside, 2)
    await says(bot, "let in")
    await wait_until_received(bot, "let in")


@asynccontextmanager
async def reported_gaps(outside: Outside) -> AsyncIterator[list[bool]]:
    """The reported changes of the connection, with both connections up."""
    changes: list[bool] = []
    transport = replace(socket_transport(outside), ping_seconds=1.0)
    background = BackgroundTasks()
    async with transport.open(event_receiver_for(RecordingReceiver(), background), changes.append):
        await wait_for_connections(outside, 2)
        yield changes
    await background.close()


async def until_new(outside: Outside, caplog: pytest.LogCaptureFixture, count: int) -> None:
    """Wait until `count` connections were opened in all, and two are up."""

    async def so() -> bool:
        return caplog.text.count("A new session") >= count and await open_connections(outside) == 2

    await wait_until(so, f"{count} lines have been opened", max_wait=20)


async def test_connections_that_break_one_after_the_other_may_both_have_been_disconnected(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    """Each connection notices at its own time that it is dead: one may be back while the other only
    seems up. Messages in between were not received."""
    async with reported_gaps(outside) as changes:
        for count in (3, 4):
            assert changes == [True]
            await trouble(outside, "half-open", lines=1)
            await until_new(outside, caplog, count)

        async def looked() -> bool:
            return changes == [True, True]

        await wait_until(looked, "there may have been a gap", max_wait=10)


async def test_connections_that_slack_renews_leave_no_gap(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    async with reported_gaps(outside) as changes:
        for count in (3, 4):
            await trouble(outside, "disconnect", lines=1)
            await until_new(outside, caplog, count)
    assert changes == [True]
