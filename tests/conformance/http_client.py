"""Calls the emulator as an outside client does: by plain HTTP and plain JSON.

The client knows only what the design fixes: addresses, tokens, ids, method names. A test that
passes with it is a promise to any other client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp

from slack_emulator.server import running_emulator

# The other side may send any JSON; the tests say what they expect of it.
Json = dict[str, Any]

BOT = "xoxb-sandbox"
APP = "xapp-sandbox"
SIGNING_SECRET = "sandbox-signing-secret"
ALICE, BOB, CAROL, EVE = "xoxp-alice", "xoxp-bob", "xoxp-carol", "xoxp-eve"
TEAM = "T0SANDBOX"
GENERAL, DEV, SECRET = "C0GENERAL", "C0DEV", "C0SECRET"

T = TypeVar("T")

WAIT_SECONDS = 10.0  # seconds; nothing on loopback needs a tenth of it


class Outside:
    """An HTTP client of the emulator, for users, apps and operators."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def call(self, method: str, token: str | None, **arguments: object) -> Json:
        """One Web API call with a JSON body; returns the response, whether ok or not."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.http.post(
            f"{self.url}/api/{method}", json=arguments, headers=headers
        ) as answer:
            body = await answer.json()
        assert isinstance(body, dict)
        return body

    async def act(self, method: str, token: str, **arguments: object) -> Json:
        """One Web API call that must succeed."""
        body = await self.call(method, token, **arguments)
        assert body["ok"] is True, f"{method} answered {body}"
        return body

    async def refused(self, method: str, token: str | None, **arguments: object) -> str:
        """One Web API call that must fail; returns the error code."""
        body = await self.call(method, token, **arguments)
        assert body["ok"] is False, f"{method} was expected to fail and answered {body}"
        return str(body["error"])

    async def id_of(self, token: str) -> str:
        """The user id of the owner of this token."""
        return str((await self.act("auth.test", token))["user_id"])

    async def control(self, name: str, body: Json | None = None, **query: str) -> Any:
        """Read one of the `/sandbox/` addresses, or write it if there is a body."""
        address = f"{self.url}/sandbox/{name}"
        request = (
            self.http.get(address, params=query)
            if body is None
            else self.http.post(address, json=body)
        )
        async with request as answer:
            text = await answer.text()
            assert answer.status == 200, f"/sandbox/{name} answered {answer.status}: {text}"
            return await answer.json()

    async def advance(self, seconds: float) -> None:
        """Advance the emulator's clock."""
        await self.control("clock", {"advance": seconds})

    async def calls(self, method: str) -> list[Json]:
        """The app's calls of one Web API method, oldest first."""
        return list(await self.control("calls", method=method))

    async def ephemeral(self, user: str) -> list[Json]:
        """The ephemeral messages of this user, newest last."""
        return list(await self.control("ephemeral", user=user))

    async def say(self, token: str, channel: str, text: str, **more: object) -> str:
        """Post a message; returns its ts."""
        response = await self.act("chat.postMessage", token, channel=channel, text=text, **more)
        return str(response["ts"])

    async def replies(self, channel: str, ts: str, token: str = ALICE) -> list[Json]:
        """The messages of a thread, its root first."""
        body = await self.act("conversations.replies", token, channel=channel, ts=ts)
        return list(body["messages"])

    async def messages(self, channel: str, token: str = ALICE) -> list[Json]:
        """The channel's messages, newest first."""
        body = await self.act("conversations.history", token, channel=channel)
        return list(body["messages"])


async def wait_until(
    look: Callable[[], Awaitable[T]], why: str, max_wait: float = WAIT_SECONDS
) -> T:
    """Call `look` until it returns a true value; returns that value."""
    until = time.monotonic() + max_wait
    while True:
        seen = await look()
        if seen:
            return seen
        assert time.monotonic() < until, f"after {max_wait:.0f} s still not so: {why}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def emulator_over_http() -> AsyncIterator[Outside]:
    """A fresh emulator on a port of its own, and a client of it."""
    async with running_emulator() as emulator, aiohttp.ClientSession() as http:
        yield Outside(emulator.url, http)
