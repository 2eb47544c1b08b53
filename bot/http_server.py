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
from bot.logs import Seldom

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.2
"""So long nobody is let in when there is no descriptor for them."""

LOOK_SECONDS: Final = 1.0
"""So much later than it is time a connection may be closed."""

_BACKLOG: Final = 128
_LINGERING_SECONDS: Final = 2.0
"""So long what nobody reads is taken from who is still sending it: else they see no answer."""
_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_Protocols = Callable[[], web.RequestHandler]
"""Makes aiohttp's protocol for one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of the process others may take."""

    connections: int
    """At once. For one more, the one that has waited the longest for a request, or the rest of one,
    is closed; where all are being answered, the new one is turned away."""
    head_seconds: float = 10.0
    """From the beginning of a connection, or of a later request, until its headers are there."""
    idle_seconds: float = 75.0
    """Between two requests. Proxies keep theirs for 60 s and more; a server that is quicker would
    close one just when a request comes."""
    reserve: int = 4
    """Descriptors that are kept for this server's connections."""


@asynccontextmanager
async def serving(
    site: web.Application,
    host: str,
    port: int,
    *,
    setting: str,
    bounds: Bounds,
    logger: logging.Logger = log,
    shutdown_seconds: float = 5.0,
) -> AsyncIterator[int]:
    """Serve `site` while inside; gives the port, which the system chooses where `port` is 0.

    `logger` takes what aiohttp has to say. Raises `SettingsError` when the address cannot be had:
    it stands in the settings `{setting}_HOST` and `{setting}_PORT`.
    """
    runner = web.AppRunner(
        site,
        access_log=None,
        logger=logger,
        shutdown_timeout=shutdown_seconds,
        lingering_time=_LINGERING_SECONDS,
    )
    async with AsyncExitStack() as opened:
        server = _Server(bounds)
        opened.callback(server.close)
        site.middlewares.append(server.middleware())
        opened.push_async_callback(runner.cleanup)
        await runner.setup()
        try:
            listeners = await _listeners(host, port)
        except (OSError, UnicodeError) as error:
            raise SettingsError([_cannot_listen(host, port, setting, error)]) from error
        for listener in listeners:
            opened.callback(listener.close)
        tasks = [
            asyncio.create_task(server.accept(listener, _protocols(runner)), name="accepting")
            for listener in listeners
        ]
        tasks.append(asyncio.create_task(server.close_late(), name="closing late connections"))
        opened.push_async_callback(_ended, tasks)
        yield int(listeners[0].getsockname()[1])


class _Connection(asyncio.Protocol):
    """One connection: aiohttp's own protocol, with an eye on what it waits for."""

    def __init__(self, server: _Server, inner: web.RequestHandler) -> None:
        self._server = server
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.due = math.inf
        """When it is closed, on the loop's clock, unless what it waits for comes before."""
        self._aborted = self._answering = False
        self._begun = True
        """Whether a request is on its way; of a new connection it is expected at once."""

    @property
    def inner(self) -> web.RequestHandler:
        return self._inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._within(self._server.bounds.head_seconds)
        self._inner.connection_made(transport)
        if self._aborted:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.due = math.inf
        self._server.lost(self)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not (self._answering or self._begun):
            self._begun = True
            self._within(self._server.bounds.head_seconds)
        self._inner.data_received(data)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def asked(self) -> None:
        """A request is there, headers and all."""
        self._answering = True
        self.due = math.inf

    def answered(self) -> None:
        """Its answer is on its way; it has to arrive before the next request is due."""
        self._answering = self._begun = False
        self._within(self._server.bounds.idle_seconds)

    def abort(self) -> None:
        """Close it now, whatever it has still to send."""
        self._aborted = True
        self.due = math.inf
        if self._transport is not None:
            self._transport.abort()

    def _within(self, seconds: float) -> None:
        self.due = self._loop.time() + seconds


class _Server:
    """Lets connections in, and keeps count of them."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._reserve = _Reserve(bounds.reserve)
        self._open: dict[web.RequestHandler, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        """Those that wait for a request, or the rest of one, the one that has waited the longest
        first."""
        self._seldom = Seldom()

    async def accept(self, listener: socket.socket, protocol: _Protocols) -> None:
        """Let in whoever comes, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                await self._freed(error)
                continue
            if len(self._open) >= self.bounds.connections and not self._close_oldest():
                _turn_away(connection)
                self._tell("all connections are busy; more are turned away")
                await asyncio.sleep(0)
                continue
            try:
                await self._let_in(connection, protocol())
            except Exception:  # others are let in all the same
                log.exception("a connection could not be let in")

    async def close_late(self) -> None:
        """Close those for whom it is time, until cancelled. One look at all now and then costs less
        than a timer for each request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(
                min(LOOK_SECONDS, self.bounds.head_seconds, self.bounds.idle_seconds)
            )
            now = loop.time()
            for connection in [each for each in self._open.values() if each.due <= now]:
                connection.abort()

    async def _let_in(self, connection: socket.socket, inner: web.RequestHandler) -> None:
        connection.setblocking(False)
        made = _Connection(self, inner)
        self._open[inner] = made
        self._waiting[made] = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: made, connection)
        except BaseException:
            self.lost(made)
            connection.close()
            raise

    async def _freed(self, error: OSError) -> None:
        """Somebody could not be let in: make room for them, or wait until there may be some."""
        if error.errno == errno.ECONNABORTED:  # they have gone again
            return
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._tell("there are no descriptors left for connections")
            if self._reserve.give():
                return
            self._close_oldest()
        else:
            self._tell("a connection could not be taken: %s", os.strerror(error.errno or 0))
        await asyncio.sleep(RETRY_SECONDS)

    def _close_oldest(self) -> bool:
        """Close the connection that has waited the longest; False where none waits."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        oldest.abort()
        self.lost(oldest)
        return True

    def lost(self, connection: _Connection) -> None:
        """It is closed."""
        self._waiting.pop(connection, None)
        self._open.pop(connection.inner, None)
        # When its descriptor is free.
        asyncio.get_running_loop().call_soon(self._reserve.fill)

    def middleware(self) -> Middleware:
        """aiohttp's middleware by which it is known which connections are being answered."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            inner = request.protocol
            if (connection := self._open.get(inner)) is None:
                return await handler(request)
            connection.asked()
            # What is still being sent makes room for others as if nothing had come.
            request.content.on_eof(lambda: self._waiting.pop(connection, None))
            try:
                return await handler(request)
            finally:
                if inner in self._open:
                    connection.answered()
                    self._waiting.pop(connection, None)
                    self._waiting[connection] = None

        return noted

    def _tell(self, sentence: str, *about: object) -> None:
        if self._seldom.may(sentence):
            log.warning(sentence, *about)

    def close(self) -> None:
        """Close what is still open."""
        for connection in list(self._open.values()):
            connection.abort()
        self._reserve.close()


class _Reserve:
    """Descriptors to give up when there are no others."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[int] = []
        self.fill()

    def fill(self) -> None:
        """Take what was given up again, as far as there is any."""
        with suppress(OSError):
            while len(self._held) < self._size:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def give(self) -> bool:
        """Give one up; False where there is none."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    def close(self) -> None:
        """Give all up for good."""
        self._size = 0
        while self.give():
            pass


def _protocols(runner: web.AppRunner) -> _Protocols:
    server = runner.server
    if server is None:
        raise RuntimeError("the runner has not been set up")
    return server


def _turn_away(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setblocking(False)
        connection.send(_FULL)
    connection.close()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _listeners(host: str, port: int) -> list[socket.socket]:
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
                if error.errno not in _NOT_HERE:
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


def _cannot_listen(host: str, port: int, setting: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    known = number is not None and number > 0  # those below are the resolver's own
    why = os.strerror(number) if known and number else getattr(error, "strerror", None) or "refused"
    return (
        f"Cannot listen on {host}:{port} ({why}): choose another {setting}_PORT or {setting}_HOST, "
        "or end the program that has it."
    )
