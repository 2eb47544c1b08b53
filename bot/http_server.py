"""Serves HTTP with limits on connections, waiting time and descriptors.

Any client that reaches the address may open connections and send nothing. So the number of
connections is limited, and so is the time that one may wait for a request. The process may run out
of descriptors for another reason: a few are reserved for that. When these are used up, too, the
server waits until descriptors are free. aiohttp handles HTTP but limits none of this.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.errors import SettingsError
from bot.logs import LogThrottle

log = logging.getLogger(__name__)

ACCEPT_RETRY_SECONDS: Final = 0.2
"""Pause in seconds before the next accept when no descriptor is free."""

DEADLINE_CHECK_SECONDS: Final = 1.0
"""Maximum interval in seconds between checks of deadlines: a connection may close so much later."""

_BACKLOG: Final = 128
_LINGERING_SECONDS: Final = 2.0
"""Time in seconds for which unread data of a client is accepted after the response: otherwise a
client that still sends would not see it."""
_ADDRESS_UNAVAILABLE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_OVERLOADED_RESPONSE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_ProtocolFactory = Callable[[], web.RequestHandler]
"""Makes aiohttp's protocol for one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """The resources that clients may use."""

    max_connections: int
    """Maximum number of connections. For a new one, the connection that has waited longest for a
    request or the rest of one is closed. If all have a request in progress, the new one is
    refused."""
    header_seconds: float = 10.0
    """Timeout in seconds from the start of a connection, or of a later request, to its headers."""
    idle_seconds: float = 75.0
    """Timeout in seconds between two requests. Proxies keep connections for 60 s and more; a
    server with a shorter time would close one just when a request arrives."""
    reserved_descriptors: int = 4
    """Number of descriptors reserved for this server's connections."""


@asynccontextmanager
async def serve_http(
    app: web.Application,
    host: str,
    port: int,
    *,
    setting_prefix: str,
    limits: ServerLimits,
    logger: logging.Logger = log,
    shutdown_seconds: float = 5.0,
) -> AsyncIterator[int]:
    """Serve `app` inside the context. Yields the port, which the system chooses if `port` is 0.

    `logger` is for aiohttp. Raises `SettingsError` if the address cannot be used; it is named by
    the settings `{setting_prefix}_HOST` and `{setting_prefix}_PORT`.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=logger,
        shutdown_timeout=shutdown_seconds,
        lingering_time=_LINGERING_SECONDS,
    )
    async with AsyncExitStack() as opened:
        server = _Server(limits)
        opened.callback(server.close)
        app.middlewares.append(server.build_middleware())
        opened.push_async_callback(runner.cleanup)
        await runner.setup()
        try:
            listeners = await _open_listeners(host, port)
        except (OSError, UnicodeError) as error:
            raise SettingsError([_listen_error(host, port, setting_prefix, error)]) from error
        for listener in listeners:
            opened.callback(listener.close)
        tasks = [
            asyncio.create_task(
                server.accept_connections(listener, _protocol_factory(runner)), name="accepting"
            )
            for listener in listeners
        ]
        tasks.append(asyncio.create_task(server.close_expired(), name="closing late connections"))
        opened.push_async_callback(_cancel_all, tasks)
        yield int(listeners[0].getsockname()[1])


class _Connection(asyncio.Protocol):
    """One connection: aiohttp's own protocol with deadlines."""

    def __init__(self, server: _Server, inner: web.RequestHandler) -> None:
        self._server = server
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.deadline = math.inf
        """Time on the loop's clock at which it is closed unless the awaited data arrives."""
        self._aborted = self._responding = False
        self._request_started = True
        """True if a request has started; on a new connection it is expected at once."""

    @property
    def inner(self) -> web.RequestHandler:
        return self._inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._set_deadline(self._server.limits.header_seconds)
        self._inner.connection_made(transport)
        if self._aborted:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline = math.inf
        self._server.discard_connection(self)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not (self._responding or self._request_started):
            self._request_started = True
            self._set_deadline(self._server.limits.header_seconds)
        self._inner.data_received(data)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def on_request(self) -> None:
        """Handle the start of a request whose headers were received."""
        self._responding = True
        self.deadline = math.inf

    def on_response(self) -> None:
        """Handle the end of a response; it must be sent before the next request is due."""
        self._responding = self._request_started = False
        self._set_deadline(self._server.limits.idle_seconds)

    def abort(self) -> None:
        """Close the connection now and drop unsent data."""
        self._aborted = True
        self.deadline = math.inf
        if self._transport is not None:
            self._transport.abort()

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds


class _Server:
    """Accepts connections and counts them."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self._reserve = _DescriptorReserve(limits.reserved_descriptors)
        self._connections: dict[web.RequestHandler, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        """The connections that wait for a request or the rest of one, the longest wait first."""
        self._throttle = LogThrottle()

    async def accept_connections(self, listener: socket.socket, protocol: _ProtocolFactory) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                await self._handle_accept_error(error)
                continue
            if len(self._connections) >= self.limits.max_connections and not self._close_oldest():
                _reject_connection(connection)
                self._warn_throttled("connection refused: all connections are busy")
                await asyncio.sleep(0)
                continue
            try:
                await self._open_connection(connection, protocol())
            except Exception:  # other connections are still accepted
                log.exception("connection not accepted")

    async def close_expired(self) -> None:
        """Close connections after their deadline, until cancelled. A regular check of all costs
        less than a timer for each request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(
                min(DEADLINE_CHECK_SECONDS, self.limits.header_seconds, self.limits.idle_seconds)
            )
            now = loop.time()
            for connection in [each for each in self._connections.values() if each.deadline <= now]:
                connection.abort()

    async def _open_connection(self, connection: socket.socket, inner: web.RequestHandler) -> None:
        connection.setblocking(False)
        tracked = _Connection(self, inner)
        self._connections[inner] = tracked
        self._waiting[tracked] = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: tracked, connection)
        except BaseException:
            self.discard_connection(tracked)
            connection.close()
            raise

    async def _handle_accept_error(self, error: OSError) -> None:
        """Handle a failed accept: free a descriptor, or wait until one may be free."""
        if error.errno == errno.ECONNABORTED:  # the client closed it
            return
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._warn_throttled("connection not accepted: no free descriptors")
            if self._reserve.release_one():
                return
            self._close_oldest()
        else:
            self._warn_throttled(
                "connection not accepted: reason=%s", os.strerror(error.errno or 0)
            )
        await asyncio.sleep(ACCEPT_RETRY_SECONDS)

    def _close_oldest(self) -> bool:
        """Close the connection that has waited longest. False if none waits."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        oldest.abort()
        self.discard_connection(oldest)
        return True

    def discard_connection(self, connection: _Connection) -> None:
        """Forget a closed connection."""
        self._waiting.pop(connection, None)
        self._connections.pop(connection.inner, None)
        # After its descriptor is free.
        asyncio.get_running_loop().call_soon(self._reserve.refill)

    def build_middleware(self) -> Middleware:
        """The middleware that marks connections with a request in progress."""

        @web.middleware
        async def track_request(request: web.Request, handler: Handler) -> web.StreamResponse:
            inner = request.protocol
            if (connection := self._connections.get(inner)) is None:
                return await handler(request)
            connection.on_request()
            # A request that is still being sent may be closed for another as if it had not begun.
            request.content.on_eof(lambda: self._waiting.pop(connection, None))
            try:
                return await handler(request)
            finally:
                if inner in self._connections:
                    connection.on_response()
                    self._waiting.pop(connection, None)
                    self._waiting[connection] = None

        return track_request

    def _warn_throttled(self, message: str, *args: object) -> None:
        if self._throttle.allow(message):
            log.warning(message, *args)

    def close(self) -> None:
        """Close all open connections."""
        for connection in list(self._connections.values()):
            connection.abort()
        self._reserve.close()


class _DescriptorReserve:
    """Descriptors to release when no others are free."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Reserve the released descriptors again, as far as there are any."""
        with suppress(OSError):
            while len(self._held) < self._size:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def release_one(self) -> bool:
        """Release one descriptor. False if there is none."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    def close(self) -> None:
        """Release all descriptors permanently."""
        self._size = 0
        while self.release_one():
            pass


def _protocol_factory(runner: web.AppRunner) -> _ProtocolFactory:
    server = runner.server
    if server is None:
        raise RuntimeError("the runner has not been set up")
    return server


def _reject_connection(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setblocking(False)
        connection.send(_OVERLOADED_RESPONSE)
    connection.close()


async def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on all local addresses of the host, all on one port.

    Raises `OSError`, or `UnicodeError` for an invalid name.
    """
    addresses = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    unavailable: OSError | None = None
    async with AsyncExitStack() as opened:
        for family, _, _, _, (name, _, *rest) in dict.fromkeys(addresses):
            try:
                listener = socket.create_server(
                    (str(name), port, *rest), family=family, backlog=_BACKLOG
                )
            except OSError as error:
                if error.errno not in _ADDRESS_UNAVAILABLE:
                    raise
                unavailable = error
                continue
            opened.callback(listener.close)
            listener.setblocking(False)
            listeners.append(listener)
            port = int(listener.getsockname()[1])
        if not listeners:
            raise unavailable or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        opened.pop_all()
    return listeners


def _listen_error(host: str, port: int, setting_prefix: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    is_system_error = number is not None and number > 0  # negative numbers are the resolver's
    reason = (
        os.strerror(number)
        if is_system_error and number
        else getattr(error, "strerror", None) or "refused"
    )
    return (
        f"Cannot listen on {host}:{port} ({reason}): choose another {setting_prefix}_PORT or "
        f"{setting_prefix}_HOST, "
        "or stop the program that uses it."
    )
