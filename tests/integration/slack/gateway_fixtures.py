"""Fixtures: a whole gateway on a whole emulator, with real Socket Mode or real signed HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp

from bot.clock import SystemClock
from bot.ports import Clock
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.gateway import SlackAdapters, SlackGateway, build_adapters
from bot.slack.identity import fetch_identity
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.question_outbox import OutboxConfig
from bot.slack.receiver import Transport
from bot.slack.transport.http import HttpTransport
from bot.slack.transport.socket_mode import SocketModeTransport
from tests.conformance.http_client import APP, BOT, SIGNING_SECRET, Outside, wait_until
from tests.integration.slack.interactions.command_runner import Recorder
from tests.integration.slack.receiver import (
    IDENTITY,
    AllowAllAdmission,
    FakeQuestionOutbox,
    RecordingReceiver,
)

PING_SECONDS = 10.0
"""Interval in seconds between checks of a connection, as in production."""
FREQUENT_PING_SECONDS = 0.2
"""Shorter interval for tests that break connections. A busy machine would lose its connections
with it."""


@dataclass
class GatewayFixture:
    """The side of the users, and the events that the bot receives."""

    outside: Outside
    receiver: RecordingReceiver
    gateway: SlackGateway
    dispatcher: Recorder
    command_runner: CommandRunner
    slack: SlackAdapters


@asynccontextmanager
async def gateway_fixture(
    outside: Outside,
    mode: str = "socket",
    clock: Clock | None = None,
    ping_seconds: float = PING_SECONDS,
) -> AsyncIterator[GatewayFixture]:
    """Connect to the emulator by `mode`: "socket" or "http"."""
    receiver, dispatcher, clock = RecordingReceiver(), Recorder(), clock or SystemClock()
    async with aiohttp.ClientSession() as session:
        transport: Transport = http_transport()
        if mode == "socket":
            transport = replace(socket_transport(outside, clock=clock), ping_seconds=ping_seconds)
        client = web_client(outside, session, clock=clock)
        slack = build_adapters(client, await fetch_identity(client.web), clock)
        command_runner = CommandRunner(dispatcher, slack.publisher, clock)
        gateway = gateway_for(client, transport, receiver, dispatcher, command_runner, slack)
        async with gateway.connection():
            if isinstance(transport, HttpTransport):
                address = f"http://127.0.0.1:{transport.port}/slack/events"
                await outside.control("app", {"request_url": address})
            yield GatewayFixture(outside, receiver, gateway, dispatcher, command_runner, slack)


def gateway_for(
    client: SlackClient,
    transport: Transport,
    receiver: RecordingReceiver,
    dispatcher: Recorder,
    command_runner: CommandRunner,
    slack: SlackAdapters,
) -> SlackGateway:
    return SlackGateway(
        client,
        transport,
        receiver.callbacks,
        users=slack.users,
        publisher=slack.publisher,
        command_runner=command_runner,
        known_names=dispatcher.known,
        home_cards=dispatcher.home,
        admission=AllowAllAdmission(slack.users),
        outbox_config=OutboxConfig(store=FakeQuestionOutbox(receiver), clock=SystemClock()),
    )


def disconnected_gateway(client: SlackClient, transport: Transport) -> SlackGateway:
    """A gateway for errors before the connection."""
    dispatcher, clock = Recorder(), SystemClock()
    slack = build_adapters(client, IDENTITY, clock)
    command_runner = CommandRunner(dispatcher, slack.publisher, clock)
    return gateway_for(client, transport, RecordingReceiver(), dispatcher, command_runner, slack)


def socket_transport(
    outside: Outside, token: str = APP, clock: Clock | None = None
) -> SocketModeTransport:
    return SocketModeTransport(
        app_token=token,
        clock=clock or SystemClock(),
        api_url=f"{outside.url}/api/",
        ping_seconds=PING_SECONDS,
    )


async def open_connections(outside: Outside) -> int:
    """Number of open Socket Mode connections of the bots."""
    return int((await outside.control("app"))["connections"])


async def wait_for_connections(outside: Outside, count: int) -> None:
    """Wait until `count` connections are open."""

    async def open_now() -> bool:
        return await open_connections(outside) == count

    await wait_until(open_now, f"{count} lines are open", max_wait=20)


def http_transport() -> HttpTransport:
    async def ready() -> bool:
        return True

    return HttpTransport(
        signing_secret=SIGNING_SECRET, clock=SystemClock(), check_ready=ready, port=0
    )


def web_client(
    outside: Outside,
    session: aiohttp.ClientSession,
    token: str = BOT,
    clock: Clock | None = None,
) -> SlackClient:
    web = make_client(token, f"{outside.url}/api/", session)
    return SlackClient(web, ApiCaller(clock or SystemClock()))
