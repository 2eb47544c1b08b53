"""One Socket Mode connection: how it handles frames, and what it acknowledges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiohttp import ClientConnectionResetError, ClientWebSocketResponse
from slack_sdk.web.async_client import AsyncWebClient

from bench.senders import ThreadLocation, talk
from bot.clock import SystemClock
from bot.slack.transport.socket_client import ConnectionUrls, SocketConnection
from bot.tasks import BackgroundTasks
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for

PLACES = [ThreadLocation("C0GENERAL", "1700000000.000100")]


class FakeWebSocket:
    """A fake connection: it records what is sent, and may break."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.broken = self.closed = False
        self._more = asyncio.Event()

    async def send_str(self, text: str) -> None:
        if self.broken:
            raise ClientConnectionResetError("Cannot write to closing transport")
        self.sent.append(json.loads(text)["envelope_id"])
        self._more.set()

    async def close(self) -> None:
        self.closed = True

    async def until(self, count: int) -> list[str]:
        """The acknowledged envelopes, once there are `count`."""
        async with asyncio.timeout(30):
            while len(self.sent) < count:
                self._more.clear()
                await self._more.wait()
        return self.sent


def as_connection(wire: FakeWebSocket) -> ClientWebSocketResponse:
    return cast("ClientWebSocketResponse", wire)


@pytest.fixture
async def receiver() -> RecordingReceiver:
    return RecordingReceiver()


@pytest.fixture
async def connection(receiver: RecordingReceiver) -> AsyncIterator[SocketConnection]:
    async def greeted(counted: int) -> None:
        del counted

    clock = SystemClock()
    tickets = ConnectionUrls(
        client=AsyncWebClient(), app_token="xapp-1", clock=clock, burst=1, pause_seconds=1.0
    )
    line = SocketConnection(
        *(event_receiver_for(receiver, BackgroundTasks()), tickets, clock),
        ping_seconds=60.0,
        renewal_lock=asyncio.Lock(),
        on_hello=greeted,
    )
    yield line
    await line.shut_down()


def frames(count: int) -> list[str]:
    """`count` envelopes with messages, with the ids e0, e1 and so on."""
    return [
        json.dumps({"envelope_id": f"e{number}", "type": "events_api", "payload": event})
        for number, event in enumerate(talk(PLACES, ("UBOB",), 0, count))
    ]


def ours(frame: str) -> str:
    """The envelope as from the workspace of `tests.integration.slack.receiver.IDENTITY`."""
    envelope = json.loads(frame)
    team = {"team_id": "T0SANDBOX"}
    return json.dumps(
        envelope | {"payload": envelope["payload"] | team | {"authorizations": [team]}}
    )


async def test_events_accepted_at_once_are_acknowledged_in_order(
    connection: SocketConnection, receiver: RecordingReceiver
) -> None:
    connection.current_session = as_connection(wire := FakeWebSocket())
    receiver.released.clear()
    for frame in frames(20):
        await connection.enqueue_message(ours(frame))
    await receiver.wait_until_attempted(20)
    assert not wire.sent
    receiver.released.set()
    assert await wire.until(20) == [f"e{number}" for number in range(20)]


async def test_an_event_that_was_not_accepted_is_not_acknowledged(
    connection: SocketConnection, receiver: RecordingReceiver
) -> None:
    connection.current_session = as_connection(wire := FakeWebSocket())
    receiver.failing = 1
    for frame in frames(3):
        await connection.enqueue_message(ours(frame))
    assert await wire.until(2) == ["e1", "e2"]


async def test_an_acknowledgement_on_a_broken_connection_is_left_to_slacks_retry(
    connection: SocketConnection, receiver: RecordingReceiver
) -> None:
    """It is recorded, and Slack's retry on the next connection is acknowledged there."""
    connection.current_session = as_connection(broken := FakeWebSocket())
    receiver.released.clear()
    for frame in frames(5):
        await connection.enqueue_message(ours(frame))
    await receiver.wait_until_attempted(5)
    broken.broken = broken.closed = True
    receiver.released.set()
    await receiver.wait_until(lambda receiver: len(receiver.messages) == 5)
    connection.current_session = as_connection(whole := FakeWebSocket())
    for frame in frames(5):
        await connection.enqueue_message(ours(frame))
    await whole.until(5)
    assert {f"e{number}" for number in range(5)} == set(whole.sent)
    assert len(receiver.messages) == 5
    assert broken.sent == []


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no JSON",
        "{no JSON",
        '{"payload":' + "[" * 100_000,
        "[1]",
        '"words"',
        "null",
        "{}",
        '{"type": "events_api", "envelope_id": "e9"}',
        '{"type": "events_api", "envelope_id": "e9", "payload": [1]}',
        '{"type": "events_api", "payload": {"type": "event_callback"}}',
        '{"type": "something_new", "envelope_id": 9, "payload": {"type": ["x"]}}',
    ],
)
async def test_an_odd_frame_keeps_no_other_one_from_being_received(
    connection: SocketConnection, receiver: RecordingReceiver, frame: str
) -> None:
    connection.current_session = as_connection(wire := FakeWebSocket())
    await connection.enqueue_message(frame)
    await connection.enqueue_message(ours(frames(1)[0]))
    await receiver.wait_until(lambda receiver: len(receiver.messages) == 1)
    assert "e0" in await wire.until(1)
