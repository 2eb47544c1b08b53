"""Slack's own Socket Mode client for Python connects to the emulator, and reconnects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import (
    ALICE,
    APP,
    BOB,
    BOT,
    GENERAL,
    WAIT_SECONDS,
    Outside,
    wait_until,
)


class ReceivedRequests:
    """The requests that the SDK's client passes to the app; each is acknowledged."""

    def __init__(self) -> None:
        self.requests: list[SocketModeRequest] = []
        self._changed = asyncio.Condition()

    async def take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """A listener as the SDK's documentation shows it."""
        answer: dict[str, object] | None = None
        if request.type == "slash_commands":
            answer = {"text": f"received {request.payload['text']}"}
        await client.send_socket_mode_response(
            SocketModeResponse(envelope_id=request.envelope_id, payload=answer)
        )
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    async def until(self, kind: str, inner: str = "") -> SocketModeRequest:
        """Wait for a request of this kind (and, for events, of this type of event)."""

        def found() -> SocketModeRequest | None:
            for request in self.requests:
                event = request.payload.get("event", {})
                if request.type == kind and event.get("type", "") == inner:
                    return request
            return None

        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            request = await self._changed.wait_for(found)
        assert request is not None
        return request


@pytest.fixture
async def received() -> ReceivedRequests:
    return ReceivedRequests()


@pytest.fixture
async def client(outside: Outside, received: ReceivedRequests) -> AsyncIterator[SocketModeClient]:
    client = SocketModeClient(
        app_token=APP,
        web_client=AsyncWebClient(token=BOT, base_url=f"{outside.url}/api/"),
        ping_interval=0.2,
    )
    client.socket_mode_request_listeners.append(received.take)
    await client.connect()  # type: ignore[no-untyped-call]  # the SDK types it not
    try:
        yield client
    finally:
        tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
        await client.close()  # type: ignore[no-untyped-call]  # the same
        # The SDK cancels its tasks and returns; a clean end waits for them as well.
        for task in tasks:
            if task is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_events_commands_and_shortcuts_come_by_one_socket(
    outside: Outside, received: ReceivedRequests, client: SocketModeClient
) -> None:
    assert await client.is_connected()
    bot = (await outside.act("auth.test", BOT))["user_id"]
    ts = await outside.say(BOB, GENERAL, f"<@{bot}> hello")
    mention = await received.until("events_api", "app_mention")
    message = await received.until("events_api", "message")
    assert mention.payload["event"]["ts"] == message.payload["event"]["ts"] == ts
    assert mention.payload["event_id"] != message.payload["event_id"]
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/say", text="it")
    command = await received.until("slash_commands")
    assert command.accepts_response_payload is True
    alice = (await outside.act("auth.test", ALICE))["user_id"]
    assert [one["text"] for one in await outside.ephemeral(alice)] == ["received it"]
    await outside.act("shortcuts.run", ALICE, callback_id="look", channel=GENERAL, message_ts=ts)
    shortcut = await received.until("interactive")
    assert shortcut.payload["type"] == "message_action"


async def test_pings_are_answered(client: SocketModeClient) -> None:
    """A client without a pong considers the connection dead."""

    async def look() -> bool:
        return client.last_ping_pong_time is not None

    await wait_until(look, "a pong comes back")
    first = client.last_ping_pong_time

    async def later() -> bool:
        return bool(first is not None and (client.last_ping_pong_time or 0) > first)

    await wait_until(later, "another pong comes back")


@pytest.mark.parametrize("fault", ["disconnect", "drop"])
async def test_a_lost_connection_is_recreated(
    outside: Outside, received: ReceivedRequests, client: SocketModeClient, fault: str
) -> None:
    """The client requests a new ticket, and later messages reach it."""
    before = await client.session_id()
    await outside.control("faults", {"socket": fault, "times": 1})

    async def look() -> bool:
        return await client.session_id() != before and await client.is_connected()

    await wait_until(look, "the client is connected again")
    await outside.say(ALICE, GENERAL, "are you back?")
    message = await received.until("events_api", "message")
    assert message.payload["event"]["text"] == "are you back?"
    assert len(await outside.calls("apps.connections.open")) == 2


async def test_a_half_open_connection_is_noticed_and_replaced(
    outside: Outside, received: ReceivedRequests, client: SocketModeClient
) -> None:
    """Nothing comes and nothing is closed: the client misses its pong and reconnects."""
    before = await client.session_id()
    await outside.control("faults", {"socket": "half-open", "times": 1})

    async def look() -> bool:
        return await client.session_id() != before and await client.is_connected()

    await wait_until(look, "the client is connected again")
    await outside.say(ALICE, GENERAL, "are you back?")
    message = await received.until("events_api", "message")
    assert message.payload["event"]["text"] == "are you back?"


async def test_what_was_lost_with_a_connection_is_received_on_the_next(
    outside: Outside, received: ReceivedRequests, client: SocketModeClient
) -> None:
    """No event is lost with a connection: it is redelivered, with the same event_id."""
    await outside.control("faults", {"socket": "half-open", "times": 1})
    await outside.say(ALICE, GENERAL, "into the void")
    before = await client.session_id()

    async def look() -> bool:
        return await client.session_id() != before and await client.is_connected()

    await wait_until(look, "the client is connected again")
    await outside.advance(65)
    message = await received.until("events_api", "message")
    assert message.payload["event"]["text"] == "into the void"
    assert message.retry_attempt is not None
    assert message.retry_attempt >= 1
