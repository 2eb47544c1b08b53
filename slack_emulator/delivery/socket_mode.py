"""Implements Socket Mode: tickets, connections, envelopes and acknowledgements.

docs.slack.dev/apis/events-api/using-socket-mode: A ticket opens one connection once. An app may
have ten connections, and each payload goes to one of them. A payload without an acknowledgement
within 3 seconds counts as not delivered.
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

from slack_emulator.delivery.receipt import ACK_SECONDS, PayloadKind, Receipt
from slack_emulator.faults import ON_CONNECT_KINDS, SOCKET, Fault, Faults
from slack_emulator.state.clock import EmulatorClock, finishes_within
from slack_emulator.state.entities import APP_ID, ApiError, Json

MAX_CONNECTIONS: Final = 10
MAX_CONNECTION_KEYS: Final = 100
CONNECTION_KEY_SECONDS: Final = 30.0
CONNECTION_SECONDS: Final = 3_600
PING_SECONDS: Final = 5.0
DISCONNECT_WARNING_SECONDS: Final = 10.0
"""Interval in seconds between Slack's warning and the disconnect (docs.slack.dev: using Socket
Mode)."""
CLOSE_SECONDS: Final = 1.0
SEND_SECONDS: Final = 5.0
MAX_FRAME_BYTES: Final = 4 << 20
NO_CONNECTION: Final = "connection_failed"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload as it is sent over a connection."""

    envelope_id: str
    frame: str


class Connection:
    """One open WebSocket of the app."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket = socket
        self.half_open = False
        """True if nothing is received or sent, although the connection is not closed."""
        self.pending_acks: dict[str, asyncio.Future[None]] = {}
        self._transport = transport

    async def send(self, payload: Json) -> bool:
        """True if the payload was sent. A half-open connection accepts everything and transmits
        nothing."""
        return await self.send_frame(json.dumps(payload))

    async def send_frame(self, frame: str) -> bool:
        """As `send`, for an encoded frame."""
        if self.half_open:
            return True
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.socket.send_str(frame)
        except (ConnectionError, RuntimeError, TimeoutError):
            return False
        return True

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def cancel_pending(self) -> None:
        """Cancel the acknowledgements that are still awaited here."""
        for ack_future in self.pending_acks.values():
            if not ack_future.done():
                ack_future.cancel()


class SocketMode:
    """All connections of the app."""

    def __init__(self, clock: EmulatorClock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._connection_keys: dict[str, float] = {}
        self._connections: list[Connection] = []
        self._next_index = 0
        self._ack_payloads: dict[str, object] = {}
        self._pending_acks: dict[str, asyncio.Future[None]] = {}
        self._drops_remaining = 0
        self._closing_tasks: set[asyncio.Task[None]] = set()

    @property
    def half_open_count(self) -> int:
        """Number of half-open connections that the app has not closed yet."""
        return sum(connection.half_open for connection in self._connections)

    @property
    def connection_count(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def issue_connection_key(self) -> str:
        """A ticket for one connection. Raises ApiError if ten connections are open."""
        if len(self._connections) >= MAX_CONNECTIONS:
            raise ApiError("too_many_websockets")
        while len(self._connection_keys) >= MAX_CONNECTION_KEYS:
            del self._connection_keys[next(iter(self._connection_keys))]
        ticket = secrets.token_urlsafe(24)
        self._connection_keys[ticket] = self._clock.now() + CONNECTION_KEY_SECONDS
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Accept the WebSocket; 404 without a ticket that is fresh and unused."""
        until = self._connection_keys.pop(request.query.get("ticket", ""), None)
        dead = self._faults.consume(SOCKET, ("dead-ticket",))
        if dead or until is None or self._clock.now() >= until:
            return web.Response(status=404, text="This ticket was already used or has expired.\n")
        if self._faults.consume(SOCKET, ("refuse",)):
            return web.Response(status=503, text="A fault refuses this connection.\n")
        socket = web.WebSocketResponse(
            autoping=False, max_msg_size=MAX_FRAME_BYTES, timeout=CLOSE_SECONDS
        )
        if not socket.can_prepare(request):
            return web.Response(status=400, text="This address is for WebSockets.\n")
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        await connection.send(self._hello())
        self._connections.append(connection)
        if self._drops_remaining > 0:
            self._drops_remaining -= 1
            connection.abort()
        pinging = asyncio.create_task(self._ping(connection))
        try:
            await self._listen(connection)
        finally:
            self._remove_connection(connection)
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
        """Ping the client, as Slack does; some clients close a connection without pings."""
        while not connection.socket.closed:
            await asyncio.sleep(PING_SECONDS)
            if not connection.half_open:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.socket.ping(b"sandbox")

    async def _listen(self, connection: Connection) -> None:
        async for frame in connection.socket:
            if connection.half_open:
                continue
            if frame.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await connection.socket.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                self._handle_ack(frame.data)

    def _handle_ack(self, text: str) -> None:
        """Accept an acknowledgement, no matter on which connection it comes."""
        try:
            ack: object = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(ack, dict):
            return
        envelope_id = ack.get("envelope_id")
        if isinstance(envelope_id, str) and (ack_future := self._pending_acks.get(envelope_id)):
            self._ack_payloads[envelope_id] = ack.get("payload")
            if not ack_future.done():
                ack_future.set_result(None)

    async def deliver(self, kind: PayloadKind, payload: Json, attempt: int, reason: str) -> Receipt:
        """Send to any one connection, and wait for the acknowledgement."""

        async def in_time(ack_future: asyncio.Future[None]) -> bool:
            return await finishes_within(self._clock, ACK_SECONDS, ack_future)

        return await self.send(build_envelope(kind, payload, attempt, reason), in_time)

    async def send(
        self, envelope: Envelope, wait_for_ack: Callable[[asyncio.Future[None]], Awaitable[bool]]
    ) -> Receipt:
        """Send to any one connection. `wait_for_ack` returns True if the acknowledgement came in
        time."""
        connection = self._next_connection()
        if connection is None:
            return Receipt(ok=False, reason=NO_CONNECTION)
        envelope_id = envelope.envelope_id
        ack_future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending_acks[envelope_id] = connection.pending_acks[envelope_id] = ack_future
        try:
            if not await connection.send_frame(envelope.frame):
                return Receipt(ok=False, reason=NO_CONNECTION)
            if not await wait_for_ack(ack_future):
                return Receipt(ok=False, reason="timeout")
            if ack_future.cancelled():
                return Receipt(ok=False, reason=NO_CONNECTION)
            return Receipt(ok=True, body=self._ack_payloads.get(envelope_id))
        finally:
            connection.pending_acks.pop(envelope_id, None)
            self._pending_acks.pop(envelope_id, None)
            self._ack_payloads.pop(envelope_id, None)

    def _next_connection(self) -> Connection | None:
        if not self._connections:
            return None
        self._next_index += 1
        return self._connections[self._next_index % len(self._connections)]

    def _start_task(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._closing_tasks.add(task)
        task.add_done_callback(self._closing_tasks.discard)

    def apply_fault(self, fault: Fault) -> None:
        """Apply a socket fault to open connections; some faults affect only new connections."""
        now = (
            self._connections[: fault.connection_count]
            if fault.connection_count
            else list(self._connections)
        )
        if fault.kind in ON_CONNECT_KINDS or not self._faults.consume(SOCKET, (fault.kind,)):
            return
        match fault.kind:
            case "drop":
                self._drops_remaining = fault.remaining
                for connection in now:
                    self._remove_connection(connection)
                    connection.abort()
            case "half-open":
                for connection in now:
                    connection.half_open = True
            case _:
                for connection in now:
                    self._start_task(self._disconnect(connection, fault.error))
        while fault.remaining > 0 and self._faults.consume(SOCKET, (fault.kind,)):
            continue

    async def _disconnect(self, connection: Connection, reason: str) -> None:
        """Announce a disconnect; after a `warning` the connection stays about ten more seconds."""
        await connection.send(
            {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}
        )
        if reason != "warning":
            await self._close_connection(connection)
            return
        await self._clock.sleep(DISCONNECT_WARNING_SECONDS)
        await self._close_connection(connection)

    async def _close_connection(self, connection: Connection) -> None:
        self._remove_connection(connection)
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.socket.close()
        connection.abort()

    def _remove_connection(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        connection.cancel_pending()

    async def close(self) -> None:
        """Close all connections."""
        ending = list(self._closing_tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.gather(*(self._close_connection(one) for one in list(self._connections)))


def build_envelope(kind: PayloadKind, payload: Json, attempt: int, reason: str) -> Envelope:
    """An encoded envelope for one delivery."""
    number = str(uuid.uuid4())
    envelope: Json = {
        "envelope_id": number,
        "payload": payload,
        "type": kind.value,
        "accepts_response_payload": kind is not PayloadKind.EVENT,
    }
    if kind is PayloadKind.EVENT:
        envelope |= {"retry_attempt": attempt, "retry_reason": reason}
    return Envelope(number, json.dumps(envelope))
