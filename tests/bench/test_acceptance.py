"""Tests the rows of accepted events: both sides get the same events, and only recorded ones
count."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from bench.ground import Ground
from bench.rows import acceptance
from bench.rows.acceptance import NotOnRecord, all_on_record
from bench.senders import IN_FLIGHT, NotTaken, ThreadLocation, by_http, by_socket, talk, ts_of
from bot.domain.messages import Message, Trigger
from bot.slack.events.parser import parse_event
from bot.slack.identity import BotIdentity
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import SIGNING_SECRET

IDENTITY = BotIdentity(team="T0SANDBOX", user="U0PILOT", bot="B0PILOT", name="threadpilot")
PLACES = [ThreadLocation("C0GENERAL", f"170000000{number}.000100") for number in range(3)]
PEOPLE = ("UBOB", "UCAROL")


async def test_both_ways_in_are_measured_and_everything_acknowledged_is_on_record(
    tmp_path: Path,
) -> None:
    by_http_row, by_socket_row = await acceptance.rows(Ground(folder=tmp_path, tiny=True))
    for row in (by_http_row, by_socket_row):
        assert row.ours > 0
        assert row.theirs > 0
        assert len(row.rounds) == 2
        assert [limit.name for limit in row.limits] == ["p99"]
        assert str(IN_FLIGHT) in row.measured
    assert "HTTP" in by_http_row.name
    assert "Socket Mode" in by_socket_row.name


def test_no_two_events_of_bursts_are_the_same() -> None:
    events = [*talk(PLACES, PEOPLE, 2_000, 2_000), *talk(PLACES, PEOPLE, 4_000, 2_000)]
    assert len({str(event["event_id"]) for event in events}) == 4_000
    assert len({ts_of(event) for event in events}) == 4_000


def test_bursts_are_messages_between_users_in_threads() -> None:
    """The bot must check each of these messages and cannot drop it unread."""
    for event in talk(PLACES, PEOPLE, 1, 10):
        fact = parse_event(event, IDENTITY)
        assert isinstance(fact, Message)
        assert fact.trigger is Trigger.FOLLOW_UP
        assert fact.ts > fact.thread.root_ts


async def test_events_are_signed_and_sent_many_at_once() -> None:
    at_once, most = 0, 0

    async def take(request: web.Request) -> web.Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        raw = await request.read()
        stamp = request.headers["X-Slack-Request-Timestamp"]
        base = f"v0:{stamp}:".encode() + raw
        right = hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
        await asyncio.sleep(0)
        at_once -= 1
        signed = request.headers["X-Slack-Signature"] == f"v0={right}"
        return web.Response(status=200 if signed else 401)

    burst = await _sent_to(take, 200)
    assert len(burst) == 200
    assert 1 <= most <= IN_FLIGHT


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_a_burst_that_is_not_wholly_accepted_is_worth_nothing(status: int) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="no")

    with pytest.raises(NotTaken, match=str(status)):
        await _sent_to(refuse, 3)


async def test_unacknowledged_envelopes_are_worth_nothing() -> None:
    slack = SlackBackend()
    with pytest.raises(NotTaken, match="connection_failed"):
        await by_socket(slack.socket_mode, talk(PLACES, PEOPLE, 1, 3))
    await slack.close()


def test_what_was_acknowledged_and_is_not_on_record_is_reported() -> None:
    events = talk(PLACES, PEOPLE, 1, 5)
    kept = {ts_of(event) for event in events}
    all_on_record(lambda: kept, events)
    with pytest.raises(NotOnRecord, match="1 of 5"):
        all_on_record(lambda: kept - {ts_of(events[0])}, events)


async def _sent_to(
    take: Callable[[web.Request], Awaitable[web.StreamResponse]], count: int
) -> tuple[float, ...]:
    site = web.Application()
    site.router.add_post("/slack/events", take)
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        return (await by_http(address, talk(PLACES, PEOPLE, 1, count))).latencies
    finally:
        await runner.cleanup()
