"""Connects by Socket Mode with a minimal client: it sees every frame, and never acknowledges by
itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.conformance.http_client import APP, WAIT_SECONDS, Json, Outside


class Socket:
    """One connection. Frames are read in the order in which they came."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse, ticket: str) -> None:
        self._wire = wire
        self.ticket = ticket
        self.hello: Json = {}

    async def frame(self, patience: float = WAIT_SECONDS) -> Json:
        """The next frame. Raises TimeoutError if none comes."""
        async with asyncio.timeout(patience):
            message = await self._wire.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, f"expected a frame, got {message}"
        frame = json.loads(message.data)
        assert isinstance(frame, dict)
        return frame

    async def ended(self) -> bool:
        """True if the other side closes or cuts the connection in time."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                message = await self._wire.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return message.type in {
                        aiohttp.WSMsgType.CLOSE,
                        aiohttp.WSMsgType.CLOSED,
                        aiohttp.WSMsgType.CLOSING,
                        aiohttp.WSMsgType.ERROR,
                    }

    async def ack(self, frame: Json, payload: Json | None = None) -> None:
        """Acknowledge a frame, with a response if there is one."""
        answer: Json = {"envelope_id": frame["envelope_id"]}
        if payload is not None:
            answer["payload"] = payload
        await self._wire.send_str(json.dumps(answer))

    async def event(self, kind: str, *, ack: bool = True) -> Json:
        """The next envelope with this type of event; other frames before it are acknowledged."""
        while True:
            frame = await self.frame()
            inner = frame.get("payload", {}).get("event", {})
            wanted = frame["type"] == "events_api" and inner.get("type") == kind
            if not wanted or ack:
                await self.ack(frame)
            if wanted:
                return frame

    async def envelope(self, kind: str) -> Json:
        """The next envelope of this kind, not acknowledged; other frames before it are."""
        while True:
            frame = await self.frame()
            if frame["type"] == kind:
                return frame
            await self.ack(frame)

    async def quiet(self, expected: int = 0, seconds: float = 0.3) -> list[Json]:
        """The expected frames, and all others that follow closely.

        Each is acknowledged.
        """
        frames: list[Json] = []
        while True:
            try:
                frame = await self.frame(WAIT_SECONDS if len(frames) < expected else seconds)
            except TimeoutError:
                return frames
            await self.ack(frame)
            frames.append(frame)

    async def send(self, text: str) -> None:
        """Send any text."""
        await self._wire.send_str(text)


@asynccontextmanager
async def socket_mode(outside: Outside) -> AsyncIterator[Socket]:
    """An app connected by Socket Mode, after `hello`."""
    opened = await outside.act("apps.connections.open", APP)
    async with outside.http.ws_connect(opened["url"]) as wire:
        socket = Socket(wire, opened["url"])
        socket.hello = await socket.frame()
        assert socket.hello["type"] == "hello"
        yield socket
