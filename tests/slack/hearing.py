"""A whole gateway on a whole sandbox: real Socket Mode, or real signed HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.slack.gateway import SlackGateway
from bot.slack.signed_http import SignedHttp
from bot.slack.socket_mode import SocketMode
from tests.conformance.outside import APP, BOT, SIGNING_SECRET, Outside
from tests.slack.ears import Ears

PING = 0.2
"""Seconds between two tries of the line; 10 in earnest."""


@dataclass
class Hearing:
    """What a test has in hand: the people's side, and what the bot hears."""

    outside: Outside
    ears: Ears
    gateway: SlackGateway


@asynccontextmanager
async def hearing(
    outside: Outside,
    way: str = "socket",
    admins: frozenset[str] = frozenset(),
    state: Callable[[], Awaitable[Sequence[str]]] | None = None,
) -> AsyncIterator[Hearing]:
    """Listen to the sandbox by `way`: "socket" or "http"."""
    ears = Ears()
    async with aiohttp.ClientSession() as session:
        door = socket_door(outside) if way == "socket" else http_door()
        gateway = SlackGateway(
            web_client(outside, session), door, ears.callbacks, admins=admins, state=state
        )
        async with gateway.listening():
            if isinstance(door, SignedHttp):
                address = f"http://127.0.0.1:{door.port}/slack/events"
                await outside.control("app", {"request_url": address})
            yield Hearing(outside, ears, gateway)


def socket_door(outside: Outside, token: str = APP) -> SocketMode:
    return SocketMode(
        app_token=token, clock=SystemClock(), api_url=f"{outside.url}/api/", ping_seconds=PING
    )


def http_door() -> SignedHttp:
    async def ready() -> bool:
        return True

    return SignedHttp(signing_secret=SIGNING_SECRET, clock=SystemClock(), ready=ready, port=0)


def web_client(
    outside: Outside, session: aiohttp.ClientSession, token: str = BOT
) -> AsyncWebClient:
    return AsyncWebClient(
        token=token, base_url=f"{outside.url}/api/", session=session, retry_handlers=[]
    )
