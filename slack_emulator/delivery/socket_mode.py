"""Socket Mode: tickets, connections, envelopes and their acknowledgements.

docs.slack.dev/apis/events-api/using-socket-mode: a ticket opens one connection once, an app may
hold ten, any one of them gets a payload, and what is not acknowledged in 3 seconds is not heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from aiohttp import WSMsgType, web

from slack_emulator.delivery.receipt import ACK_SECONDS, Kind, Receipt
from slack_emulator.faults import MET_ON_THE_WAY_IN, SOCKET, Fault, Faults
from slack_emulator.state.clock import SandboxClock, within
from slack_emulator.state.entities import APP_ID, Json, Refused

MAX_CONNECTIONS: Final = 10
MAX_TICKETS: Final = 100
TICKET_SECONDS: Final = 30.0
CONNECTION_SECONDS: Final = 3_600
PING_SECONDS: Final = 5.0
WARNED_SECONDS: Final = 10.0
"""How long a connection stays after Slack's warning (docs.slack.dev: using Socket Mode)."""
CLOSE_SECONDS: Final = 1.0
SEND_SECONDS: Final = 5.0
MAX_FRAME: Final = 4 << 20
NO_CONNECTION: Final = "connection_failed"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery as it goes over a connection."""

    number: str
    frame: str


class Connection:
    """One open WebSocket of the app."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket = socket
        self.silent = False
        """Half-open: nothing is heard and nothing is sent, and yet it is not closed."""
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self._transport = transport

    async def send(self, payload: Json) -> bool:
        """Whether it went out; a half-open connection takes everything and passes nothing on."""
        return await self.send_frame(json.dumps(payload))

    async def send_frame(self, frame: str) -> bool:
        """The same for what is written out already."""
        if self.silent:
            return True
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.socket.send_str(frame)
        except (ConnectionError, RuntimeError, TimeoutError):
            return False
        return True

    def abort(self) -> None:
        """Cut the line without a word."""
        if self._transport is not None:
            self._transport.abort()

    def lost(self) -> None:
        """Nobody will acknowledge here any more."""
        for heard in self.waiting.values():
            if not heard.done():
                heard.cancel()


class SocketMode:
    """All connections of the app."""

    def __init__(self, clock: SandboxClock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._tickets: dict[str, float] = {}
        self._connections: list[Connection] = []
        self._turn = 0
        self._acks: dict[str, object] = {}
        self._heard: dict[str, asyncio.Future[None]] = {}
        self._dropping = 0
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def deaf(self) -> int:
        """How many half-open connections the app has not given up yet."""
        return sum(connection.silent for connection in self._connections)

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def ticket(self) -> str:
        """A ticket for one connection. Refused where ten are open."""
        if len(self._connections) >= MAX_CONNECTIONS:
            raise Refused("too_many_websockets")
        while len(self._tickets) >= MAX_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = self._clock.now() + TICKET_SECONDS
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket's door; 404 without a ticket that is fresh and unused."""
        until = self._tickets.pop(request.query.get("ticket", ""), None)
        dead = self._faults.meet(SOCKET, ("dead-ticket",))
        if dead or until is None or self._clock.now() >= until:
            return web.Response(status=404, text="This ticket is used up or too old.\n")
        if self._faults.meet(SOCKET, ("refuse",)):
            return web.Response(status=503, text="Not now.\n")
        socket = web.WebSocketResponse(
            autoping=False, max_msg_size=MAX_FRAME, timeout=CLOSE_SECONDS
        )
        if not socket.can_prepare(request):
            return web.Response(status=400, text="This address is for WebSockets.\n")
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        await connection.send(self._hello())
        self._connections.append(connection)
        if self._dropping > 0:
            self._dropping -= 1
            connection.abort()
        pinging = asyncio.create_task(self._ping(connection))
        try:
            await self._listen(connection)
        finally:
            self._forget(connection)
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
        return socket

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections) + 1,
            "debug_info": {
                "host": "sandbox",
                "build_number": 1,
                "approximate_connection_time": CONNECTION_SECONDS,
            },
            "connection_info": {"app_id": APP_ID},
        }

    async def _ping(self, connection: Connection) -> None:
        """Slack's side pings too; some clients give up a line on which it does not."""
        while not connection.socket.closed:
            await asyncio.sleep(PING_SECONDS)
            if not connection.silent:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.socket.ping(b"sandbox")

    async def _listen(self, connection: Connection) -> None:
        async for frame in connection.socket:
            if connection.silent:
                continue
            if frame.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.socket.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                self._acknowledged(frame.data)

    def _acknowledged(self, text: str) -> None:
        """An acknowledgement counts on whichever connection it comes."""
        try:
            ack: object = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(ack, dict):
            return
        envelope_id = ack.get("envelope_id")
        if isinstance(envelope_id, str) and (heard := self._heard.get(envelope_id)):
            self._acks[envelope_id] = ack.get("payload")
            if not heard.done():
                heard.set_result(None)

    async def deliver(self, kind: Kind, payload: Json, attempt: int, reason: str) -> Receipt:
        """Send to any one connection, and wait for the acknowledgement."""

        async def in_time(heard: asyncio.Future[None]) -> bool:
            return await within(self._clock, ACK_SECONDS, heard)

        return await self.send(enveloped(kind, payload, attempt, reason), in_time)

    async def send(
        self, envelope: Envelope, in_time: Callable[[asyncio.Future[None]], Awaitable[bool]]
    ) -> Receipt:
        """Send to any one connection; `in_time` waits for the acknowledgement, and tells whether it
        came."""
        connection = self._next()
        if connection is None:
            return Receipt(ok=False, reason=NO_CONNECTION)
        envelope_id = envelope.number
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard[envelope_id] = connection.waiting[envelope_id] = heard
        try:
            if not await connection.send_frame(envelope.frame):
                return Receipt(ok=False, reason=NO_CONNECTION)
            if not await in_time(heard):
                return Receipt(ok=False, reason="timeout")
            if heard.cancelled():
                return Receipt(ok=False, reason=NO_CONNECTION)
            return Receipt(ok=True, body=self._acks.get(envelope_id))
        finally:
            connection.waiting.pop(envelope_id, None)
            self._heard.pop(envelope_id, None)
            self._acks.pop(envelope_id, None)

    def _next(self) -> Connection | None:
        if not self._connections:
            return None
        self._turn += 1
        return self._connections[self._turn % len(self._connections)]

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def trouble(self, fault: Fault) -> None:
        """A socket fault that was just set; some are met only by those who come."""
        now = self._connections[: fault.lines] if fault.lines else list(self._connections)
        if fault.kind in MET_ON_THE_WAY_IN or not self._faults.meet(SOCKET, (fault.kind,)):
            return
        match fault.kind:
            case "drop":
                self._dropping = fault.times
                for connection in now:
                    self._forget(connection)
                    connection.abort()
            case "half-open":
                for connection in now:
                    connection.silent = True
            case _:
                for connection in now:
                    self._start(self._disconnect(connection, fault.error))
        while fault.times > 0 and self._faults.meet(SOCKET, (fault.kind,)):
            continue

    async def _disconnect(self, connection: Connection, reason: str) -> None:
        """Slack's own good-bye; after a `warning` the line stays for about ten seconds more."""
        await connection.send(
            {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}
        )
        if reason != "warning":
            await self._end(connection)
            return
        await self._clock.sleep(WARNED_SECONDS)
        await self._end(connection)

    async def _end(self, connection: Connection) -> None:
        self._forget(connection)
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.socket.close()
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        connection.lost()

    async def close(self) -> None:
        """End every connection."""
        ending = list(self._ending)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.gather(*(self._end(one) for one in list(self._connections)))


def enveloped(kind: Kind, payload: Json, attempt: int, reason: str) -> Envelope:
    """A delivery, written out."""
    number = str(uuid.uuid4())
    envelope: Json = {
        "envelope_id": number,
        "payload": payload,
        "type": kind.value,
        "accepts_response_payload": kind is not Kind.EVENT,
    }
    if kind is Kind.EVENT:
        envelope |= {"retry_attempt": attempt, "retry_reason": reason}
    return Envelope(number, json.dumps(envelope))
