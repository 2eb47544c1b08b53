"""Signed HTTP: the app's URL is verified, and gets events until it acknowledges them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from tests.emulator_client import GENERAL, SIGNING_SECRET, EmulatorClient, Json, Refusal


class HttpApp:
    """An app behind a request URL; it stores the requests that it receives."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answer = ""
        self.challenged = True
        self.silent = False
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.news = asyncio.Event()
        self.address = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.content_type == "application/json":
            event = json.loads(body)
            if event["type"] == "url_verification":
                return web.Response(text=event["challenge"] if self.challenged else "what?")
        self.received.append((dict(request.headers), body))
        self.news.set()
        if self.silent:
            await asyncio.sleep(3_600)
        return web.Response(status=self.status, headers=self.headers, text=self.answer)

    async def requests(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        """The received requests, as soon as there are `count`."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                self.news.clear()
                await self.news.wait()
        return self.received


@pytest.fixture
async def app(client: EmulatorClient) -> AsyncIterator[HttpApp]:
    app = HttpApp()
    server = web.Application()
    server.router.add_post("/slack/events", app.handle)
    runner = web.AppRunner(server, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        app.address = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        await client.app(request_url=app.address)
        yield app
    finally:
        await client.app(request_url=None)
        await runner.cleanup()


async def test_what_is_sent_is_signed(client: EmulatorClient, app: HttpApp) -> None:
    """With the machine's own time, also after the emulator's clock was advanced."""
    await client.advance(100_000)
    await client.say("alice", GENERAL, "hello")
    headers, body = (await app.requests(1))[0]
    stamp = headers["X-Slack-Request-Timestamp"]
    base = f"v0:{stamp}:{body.decode()}".encode()
    digest = hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
    assert headers["X-Slack-Signature"] == f"v0={digest}"
    assert abs(time.time() - int(stamp)) < 60
    assert json.loads(body)["event"]["text"] == "hello"
    assert "X-Slack-Retry-Num" not in headers


async def test_an_error_brings_it_again(client: EmulatorClient, app: HttpApp) -> None:
    app.status = 500
    await client.say("alice", GENERAL, "hello")
    await app.requests(2)
    await client.advance(61)
    await app.requests(3)
    await client.advance(300)
    tries = await app.requests(4)
    assert [headers.get("X-Slack-Retry-Num") for headers, _ in tries] == [None, "1", "2", "3"]
    assert {headers.get("X-Slack-Retry-Reason") for headers, _ in tries[1:]} == {"http_error"}
    assert len({json.loads(body)["event_id"] for _, body in tries}) == 1


async def test_an_app_can_ask_for_no_more(client: EmulatorClient, app: HttpApp) -> None:
    app.status, app.headers = 500, {"X-Slack-No-Retry": "1"}
    await client.say("alice", GENERAL, "hello")
    await app.requests(1)
    app.status = 200
    await client.say("alice", GENERAL, "next")
    texts = [json.loads(body)["event"]["text"] for _, body in await app.requests(2)]
    assert texts == ["hello", "next"]


async def test_silence_is_a_timeout(client: EmulatorClient, app: HttpApp) -> None:
    app.silent = True
    await client.say("alice", GENERAL, "hello")
    await app.requests(1)
    await client.advance(3)
    headers, _ = (await app.requests(2))[1]
    assert headers["X-Slack-Retry-Reason"] == "http_timeout"


async def test_a_command_is_a_form_and_its_answer_is_shown(
    client: EmulatorClient, app: HttpApp
) -> None:
    app.answer = "plain words"
    await client.command("alice", GENERAL, "/ask", "why & how?")
    _, body = (await app.requests(1))[0]
    fields = parse_qs(body.decode())
    assert (fields["command"], fields["text"]) == (["/ask"], ["why & how?"])
    assert [one["text"] for one in await client.ephemeral("alice")] == ["plain words"]


async def test_a_shortcut_is_a_payload_in_a_form(client: EmulatorClient, app: HttpApp) -> None:
    await client.app(interactivity_url=app.address)
    ts = await client.say("alice", GENERAL, "hello")
    await client.shortcut("alice", "about", GENERAL, ts)
    _, body = (await app.requests(2))[1]
    payload = json.loads(parse_qs(body.decode())["payload"][0])
    assert (payload["type"], payload["message_ts"]) == ("message_action", ts)


async def test_an_error_fails_the_command(client: EmulatorClient, app: HttpApp) -> None:
    app.status = 500
    with pytest.raises(Refusal, match="dispatch_failed"):
        await client.command("alice", GENERAL, "/ask")
    assert len(app.received) == 1


async def test_an_address_that_is_not_the_apps_is_refused(
    client: EmulatorClient, app: HttpApp
) -> None:
    """A URL that does not repeat the challenge, and a URL without a server."""
    app.challenged = False
    for address in (f"{app.address}?other", "http://127.0.0.1:1/slack/events"):
        wanted: Json = {"request_url": address}
        async with client.http.post(f"{client.url}/sandbox/app", json=wanted) as answer:
            assert answer.status == 400
            assert "challenge" in (await answer.json())["error"]
    assert (await client.app())["request_url"] == app.address


async def test_there_is_no_socket_beside_it(client: EmulatorClient, app: HttpApp) -> None:
    refused = await client.ask("xapp-sandbox", "apps.connections.open")
    assert refused["ok"] is False
    assert app.received == []
