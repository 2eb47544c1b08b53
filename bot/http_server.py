"""An HTTP server that nobody can exhaust: what becomes of those for whom there is no room or time.

Anybody who reaches its address may open connections and send nothing, so connections are bounded,
and so is the time that one may wait for a request. The process may run out of descriptors for any
other reason: a few are kept for that, and when these are used up, too, the server waits until there
are some again. aiohttp speaks HTTP; it bounds none of this.
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
"""So long nobody is let in when there is no descriptor for them."""

DEADLINE_CHECK_SECONDS: Final = 1.0
"""So much later than it is time a connection may be closed."""

_BACKLOG: Final = 128
_LINGERING_SECONDS: Final = 2.0
"""So long what nobody reads is taken from who is still sending it: else they see no answer."""
_ADDRESS_UNAVAILABLE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_OVERLOADED_RESPONSE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_ProtocolFactory = Callable[[], web.RequestHandler]
"""Makes aiohttp's protocol for one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How much of the process others may take."""

    max_connections: int
    """At once. For one more, the one that has waited the longest for a request, or the rest of one,
    is closed; where all are being answered, the new one is turned away."""
    header_seconds: float = 10.0
    """From the beginning of a connection, or of a later request, until its headers are there."""
    idle_seconds: float = 75.0
    """Between two requests. Proxies keep theirs for 60 s and more; a server that is quicker would
    close one just when a request comes."""
    reserved_descriptors: int = 4
    """Descriptors that are kept for this server's connections."""


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
    """Serve `site` while inside; gives the port, which the system chooses where `port` is 0.

    `logger` takes what aiohttp has to say. Raises `SettingsError` when the address cannot be had:
    it stands in the settings `{setting}_HOST` and `{setting}_PORT`.
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
    """One connection: aiohttp's own protocol, with an eye on what it waits for."""

    def __init__(self, server: _Server, inner: web.RequestHandler) -> None:
        self._server = server
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.deadline = math.inf
        """When it is closed, on the loop's clock, unless what it waits for comes before."""
        self._aborted = self._responding = False
        self._request_started = True
        """Whether a request is on its way; of a new connection it is expected at once."""

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
        """A request is there, headers and all."""
        self._responding = True
        self.deadline = math.inf

    def on_response(self) -> None:
        """Its answer is on its way; it has to arrive before the next request is due."""
        self._responding = self._request_started = False
        self._set_deadline(self._server.limits.idle_seconds)

    def abort(self) -> None:
        """Close it now, whatever it has still to send."""
        self._aborted = True
        self.deadline = math.inf
        if self._transport is not None:
            self._transport.abort()

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds


class _Server:
    """Lets connections in, and keeps count of them."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self._reserve = _DescriptorReserve(limits.reserved_descriptors)
        self._connections: dict[web.RequestHandler, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        """Those that wait for a request, or the rest of one, the one that has waited the longest
        first."""
        self._throttle = LogThrottle()

    async def accept_connections(self, listener: socket.socket, protocol: _ProtocolFactory) -> None:
        """Let in whoever comes, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                await self._handle_accept_error(error)
                continue
            if len(self._connections) >= self.limits.max_connections and not self._close_oldest():
                _reject_connection(connection)
                self._warn_throttled("all connections are busy; more are turned away")
                await asyncio.sleep(0)
                continue
            try:
                await self._open_connection(connection, protocol())
            except Exception:  # others are let in all the same
                log.exception("a connection could not be let in")

    async def close_expired(self) -> None:
        """Close those for whom it is time, until cancelled. One look at all now and then costs less
        than a timer for each request."""
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
        made = _Connection(self, inner)
        self._connections[inner] = made
        self._waiting[made] = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: made, connection)
        except BaseException:
            self.discard_connection(made)
            connection.close()
            raise

    async def _handle_accept_error(self, error: OSError) -> None:
        """Somebody could not be let in: make room for them, or wait until there may be some."""
        if error.errno == errno.ECONNABORTED:  # they have gone again
            return
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._warn_throttled("there are no descriptors left for connections")
            if self._reserve.release_one():
                return
            self._close_oldest()
        else:
            self._warn_throttled(
                "a connection could not be taken: %s", os.strerror(error.errno or 0)
            )
        await asyncio.sleep(ACCEPT_RETRY_SECONDS)

    def _close_oldest(self) -> bool:
        """Close the connection that has waited the longest; False where none waits."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        oldest.abort()
        self.discard_connection(oldest)
        return True

    def discard_connection(self, connection: _Connection) -> None:
        """It is closed."""
        self._waiting.pop(connection, None)
        self._connections.pop(connection.inner, None)
        # When its descriptor is free.
        asyncio.get_running_loop().call_soon(self._reserve.refill)

    def build_middleware(self) -> Middleware:
        """aiohttp's middleware by which it is known which connections are being answered."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            inner = request.protocol
            if (connection := self._connections.get(inner)) is None:
                return await handler(request)
            connection.on_request()
            # What is still being sent makes room for others as if nothing had come.
            request.content.on_eof(lambda: self._waiting.pop(connection, None))
            try:
                return await handler(request)
            finally:
                if inner in self._connections:
                    connection.on_response()
                    self._waiting.pop(connection, None)
                    self._waiting[connection] = None

        return noted

    def _warn_throttled(self, message: str, *args: object) -> None:
        if self._throttle.allow(message):
            log.warning(message, *args)

    def close(self) -> None:
        """Close what is still open."""
        for connection in list(self._connections.values()):
            connection.abort()
        self._reserve.close()


class _DescriptorReserve:
    """Descriptors to give up when there are no others."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Take what was given up again, as far as there is any."""
        with suppress(OSError):
            while len(self._held) < self._size:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def release_one(self) -> bool:
        """Give one up; False where there is none."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    def close(self) -> None:
        """Give all up for good."""
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
    """Listening sockets at every address of the host that there is here, all at one port.

    Raises `OSError`, or `UnicodeError` for what is no name.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    async with AsyncExitStack() as opened:
        for family, _, _, _, (name, _, *more) in dict.fromkeys(found):
            try:
                listener = socket.create_server(
                    (str(name), port, *more), family=family, backlog=_BACKLOG
                )
            except OSError as error:
                if error.errno not in _ADDRESS_UNAVAILABLE:
                    raise
                missing = error
                continue
            opened.callback(listener.close)
            listener.setblocking(False)
            listeners.append(listener)
            port = int(listener.getsockname()[1])
        if not listeners:
            raise missing or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        opened.pop_all()
    return listeners


def _listen_error(host: str, port: int, setting_prefix: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    known = number is not None and number > 0  # those below are the resolver's own
    why = os.strerror(number) if known and number else getattr(error, "strerror", None) or "refused"
    return (
        f"Cannot listen on {host}:{port} ({why}): choose another {setting_prefix}_PORT or "
        f"{setting_prefix}_HOST, "
        "or end the program that has it."
    )
