"""A whole gateway on a whole sandbox: real Socket Mode, or real signed HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp

from bot.clock import SystemClock
from bot.ports import Clock
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client, make_client
from bot.slack.gateway import Adapters, SlackGateway, adapters
from bot.slack.identity import who_are_we
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.question_outbox import Book
from bot.slack.receiver import Door
from bot.slack.transport.http import SignedHttp
from bot.slack.transport.socket_mode import SocketMode
from tests.conformance.http_client import APP, BOT, SIGNING_SECRET, Outside, eventually
from tests.integration.slack.interactions.command_runner import Recorder
from tests.integration.slack.receiver import US, Ears, Notebook, WithoutLimits

PING = 10.0
"""Seconds between two tries of the line, as in earnest."""
OFTEN = 0.2
"""For tests whose lines go down. A machine that is busy for some of these would lose its lines."""


@dataclass
class Hearing:
    """What a test has in hand: the people's side, and what the bot hears."""

    outside: Outside
    ears: Ears
    gateway: SlackGateway
    desk: Recorder
    orders: OrderCounter
    slack: Adapters


@asynccontextmanager
async def hearing(
    outside: Outside, way: str = "socket", clock: Clock | None = None, ping_seconds: float = PING
) -> AsyncIterator[Hearing]:
    """Listen to the sandbox by `way`: "socket" or "http"."""
    ears, desk, clock = Ears(), Recorder(), clock or SystemClock()
    async with aiohttp.ClientSession() as session:
        door: Door = http_door()
        if way == "socket":
            door = replace(socket_door(outside, clock=clock), ping_seconds=ping_seconds)
        client = web_client(outside, session, clock=clock)
        slack = adapters(client, await who_are_we(client.web), clock)
        orders = OrderCounter(desk, slack.board, clock)
        gateway = gateway_for(client, door, ears, desk, orders, slack)
        async with gateway.listening():
            if isinstance(door, SignedHttp):
                address = f"http://127.0.0.1:{door.port}/slack/events"
                await outside.control("app", {"request_url": address})
            yield Hearing(outside, ears, gateway, desk, orders, slack)


def gateway_for(
    client: Client,
    door: Door,
    ears: Ears,
    desk: Recorder,
    orders: OrderCounter,
    slack: Adapters,
) -> SlackGateway:
    return SlackGateway(
        client,
        door,
        ears.callbacks,
        people=slack.people,
        board=slack.board,
        orders=orders,
        known=desk.known,
        home=desk.home,
        gate=WithoutLimits(slack.people),
        book=Book(store=Notebook(ears), clock=SystemClock()),
    )


def deaf_gateway(client: Client, door: Door) -> SlackGateway:
    """A gateway for what goes wrong before anything is heard."""
    desk, clock = Recorder(), SystemClock()
    slack = adapters(client, US, clock)
    orders = OrderCounter(desk, slack.board, clock)
    return gateway_for(client, door, Ears(), desk, orders, slack)


def socket_door(outside: Outside, token: str = APP, clock: Clock | None = None) -> SocketMode:
    return SocketMode(
        app_token=token,
        clock=clock or SystemClock(),
        api_url=f"{outside.url}/api/",
        ping_seconds=PING,
    )


async def lines(outside: Outside) -> int:
    """How many Socket Mode connections the bots have open."""
    return int((await outside.control("app"))["connections"])


async def until_lines(outside: Outside, count: int) -> None:
    """Wait until so many are open."""

    async def open_now() -> bool:
        return await lines(outside) == count

    await eventually(open_now, f"{count} lines are open", patience=20)


def http_door() -> SignedHttp:
    async def ready() -> bool:
        return True

    return SignedHttp(signing_secret=SIGNING_SECRET, clock=SystemClock(), ready=ready, port=0)


def web_client(
    outside: Outside,
    session: aiohttp.ClientSession,
    token: str = BOT,
    clock: Clock | None = None,
) -> Client:
    web = make_client(token, f"{outside.url}/api/", session)
    return Client(web, Calls(clock or SystemClock()))
