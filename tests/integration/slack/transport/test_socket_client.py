"""One line to Slack: what it does with each frame, and what it acknowledges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiohttp import ClientConnectionResetError, ClientWebSocketResponse
from slack_sdk.web.async_client import AsyncWebClient

from bench.senders import Place, talk
from bot.clock import SystemClock
from bot.slack.transport.socket_client import Line, Tickets
from bot.tasks import Background
from tests.integration.slack.receiver import Ears, intake_for

PLACES = [Place("C0GENERAL", "1700000000.000100")]


class Wire:
    """What stands for a connection: it keeps what is sent, and may break."""

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
        """What has been acknowledged, once it is so much."""
        async with asyncio.timeout(30):
            while len(self.sent) < count:
                self._more.clear()
                await self._more.wait()
        return self.sent


def as_connection(wire: Wire) -> ClientWebSocketResponse:
    return cast("ClientWebSocketResponse", wire)


@pytest.fixture
async def ears() -> Ears:
    return Ears()


@pytest.fixture
async def line(ears: Ears) -> AsyncIterator[Line]:
    async def greeted(counted: int) -> None:
        del counted

    clock = SystemClock()
    tickets = Tickets(
        client=AsyncWebClient(), app_token="xapp-1", clock=clock, at_once=1, pause=1.0
    )
    line = Line(
        *(intake_for(ears, Background()), tickets, clock),
        ping_seconds=60.0,
        renewing=asyncio.Lock(),
        greeted=greeted,
    )
    yield line
    await line.end()


def frames(count: int) -> list[str]:
    """So many envelopes with messages; their numbers are e0, e1 and so on."""
    return [
        json.dumps({"envelope_id": f"e{number}", "type": "events_api", "payload": event})
        for number, event in enumerate(talk(PLACES, ("UBOB",), 0, count))
    ]


def ours(frame: str) -> str:
    """The envelope as from the workspace of `tests.integration.slack.receiver.US`."""
    envelope = json.loads(frame)
    team = {"team_id": "T0SANDBOX"}
    return json.dumps(
        envelope | {"payload": envelope["payload"] | team | {"authorizations": [team]}}
    )


async def test_what_is_taken_at_one_moment_is_acknowledged_in_order(line: Line, ears: Ears) -> None:
    line.current_session = as_connection(wire := Wire())
    ears.released.clear()
    for frame in frames(20):
        await line.enqueue_message(ours(frame))
    await ears.until_attempted(20)
    assert not wire.sent
    ears.released.set()
    assert await wire.until(20) == [f"e{number}" for number in range(20)]


async def test_what_could_not_be_taken_is_not_acknowledged(line: Line, ears: Ears) -> None:
    line.current_session = as_connection(wire := Wire())
    ears.failing = 1
    for frame in frames(3):
        await line.enqueue_message(ours(frame))
    assert await wire.until(2) == ["e1", "e2"]


async def test_what_a_broken_connection_does_not_take_is_left_for_slack_to_repeat(
    line: Line, ears: Ears
) -> None:
    """It is on record, and what Slack brings again by the next connection is acknowledged there."""
    line.current_session = as_connection(broken := Wire())
    ears.released.clear()
    for frame in frames(5):
        await line.enqueue_message(ours(frame))
    await ears.until_attempted(5)
    broken.broken = broken.closed = True
    ears.released.set()
    await ears.until(lambda ears: len(ears.messages) == 5)
    line.current_session = as_connection(whole := Wire())
    for frame in frames(5):
        await line.enqueue_message(ours(frame))
    await whole.until(5)
    assert {f"e{number}" for number in range(5)} == set(whole.sent)
    assert len(ears.messages) == 5
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
async def test_an_odd_frame_keeps_no_other_one_from_being_heard(
    line: Line, ears: Ears, frame: str
) -> None:
    line.current_session = as_connection(wire := Wire())
    await line.enqueue_message(frame)
    await line.enqueue_message(ours(frames(1)[0]))
    await ears.until(lambda ears: len(ears.messages) == 1)
    assert "e0" in await wire.until(1)
