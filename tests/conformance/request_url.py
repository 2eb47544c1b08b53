"""Runs an app's request URL: receives signed HTTP requests, stores them, and responds as set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs

from aiohttp import web

from tests.conformance.http_client import WAIT_SECONDS, Json


@dataclass(frozen=True)
class Delivery:
    """One received request: its headers by lower-case name, and its body as bytes."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        """The payload: JSON, a form's `payload` field, or a plain form."""
        if self.headers["content-type"].startswith("application/json"):
            parsed = json.loads(self.raw)
        else:
            form = {key: values[0] for key, values in parse_qs(self.raw.decode(), True).items()}
            parsed = json.loads(form["payload"]) if "payload" in form else form
        assert isinstance(parsed, dict)
        return parsed

    @property
    def event(self) -> Json:
        """The event inside the envelope; empty if this is no event."""
        event = self.body.get("event", {})
        assert isinstance(event, dict)
        return event


class Listener:
    """The requests that the app received. `answer` sets the response to all but
    url_verification."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.url = ""
        self.answer: Callable[[], web.Response] = web.Response
        self._changed = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        """Receive one request."""
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = Delivery(headers, raw)
        async with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        if delivery.body.get("type") == "url_verification":
            return web.json_response({"challenge": delivery.body["challenge"]})
        return self.answer()

    def events(self, kind: str) -> list[Delivery]:
        """The deliveries of one type of event so far."""
        return [one for one in self.deliveries if one.event.get("type") == kind]

    async def wait_for_event(self, kind: str, times: int = 1) -> list[Delivery]:
        """Wait until this many events of this type have come."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.events(kind)) >= times)
        return self.events(kind)

    async def wait_for_type(self, times: int) -> list[Delivery]:
        """Wait until this many requests of any kind have come."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= times)
        return self.deliveries


@asynccontextmanager
async def request_url(port: int = 0) -> AsyncIterator[Listener]:
    """An app that listens on a loopback port; port 0 means any free one."""
    listener = Listener()
    application = web.Application()
    application.router.add_post("/slack/events", listener.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield listener
    finally:
        await runner.cleanup()
