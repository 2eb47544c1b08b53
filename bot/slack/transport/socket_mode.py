"""Receives events by Socket Mode: the bot connects to Slack, so it needs no public address.

Two connections are held at once. Slack closes each about once an hour and sends events over the
other one until it is replaced. Both deliver to the same `EventReceiver`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bot.ports import NULL_TELEMETRY, Clock, Telemetry
from bot.slack.api.calls import SlackCallError
from bot.slack.api.client import InstrumentedWebClient
from bot.slack.receiver import EventReceiver
from bot.slack.transport.socket_client import ConnectionUrls, SocketConnection

log = logging.getLogger(__name__)

CONNECTIONS: Final = 2

_API_TIMEOUT_SECONDS: Final = 20
_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0

_NEW_URL_AFTER_CHECKS: Final = 2
_REPLACE_AFTER_CHECKS: Final = 6
"""Number of consecutive failed checks after which a connection gets a new URL or is replaced."""

_UNCERTAIN_PINGS: Final = 6
"""Number of check intervals after a break in which another connection may only seem up: a dead one
may go unnoticed for more than four."""

_STALE_COUNT_SECONDS: Final = 60.0
"""Time in seconds for which Slack may still count a closed connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketModeTransport:
    """`bot.slack.receiver.Transport` over WebSockets."""

    app_token: str = field(repr=False)
    clock: Clock
    api_url: str = "https://slack.com/api/"
    ping_seconds: float = 10.0
    """Interval in seconds between checks: a dead connection is noticed in about twice this."""
    telemetry: Telemetry = NULL_TELEMETRY

    @asynccontextmanager
    async def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AsyncIterator[None]:
        """Stay connected inside the context. Raises `SlackError`, with the remedy in its text if
        the token is bad."""
        urls = ConnectionUrls(
            # A separate client: the shared one's session would wait minutes for a response.
            client=InstrumentedWebClient(
                base_url=self.api_url, timeout=_API_TIMEOUT_SECONDS, telemetry=self.telemetry
            ),
            app_token=self.app_token,
            clock=self.clock,
            burst=CONNECTIONS,
            pause_seconds=self.ping_seconds,
        )
        connections = _Connections(self, receiver, urls, on_connection_change)
        async with connections.connected(await urls.first_url()):
            yield


class _Connections:
    """All Socket Mode connections of the bot."""

    def __init__(
        self,
        transport: SocketModeTransport,
        receiver: EventReceiver,
        urls: ConnectionUrls,
        on_connection_change: Callable[[bool], None],
    ) -> None:
        self._clock = transport.clock
        self._telemetry = transport.telemetry
        self._on_connection_change = on_connection_change
        self._hello_received = asyncio.Event()
        self._disconnected = False
        self._uncertain_seconds = _UNCERTAIN_PINGS * transport.ping_seconds
        self._uncertain_until = 0.0
        """Until this time a connection that did not break is only assumed to be up."""
        self._closed_times: deque[float] = deque(maxlen=100)
        renewal_lock = asyncio.Lock()

        def build_connection(supervisor: _ConnectionSupervisor) -> SocketConnection:
            async def on_hello(connection_count: int) -> None:
                await self._on_hello(supervisor, connection_count)

            return SocketConnection(
                *(receiver, urls, transport.clock),
                ping_seconds=transport.ping_seconds,
                renewal_lock=renewal_lock,
                on_hello=on_hello,
            )

        self._supervisors = [
            _ConnectionSupervisor(build_connection, transport, self._check_connections)
            for _ in range(CONNECTIONS)
        ]

    @asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator[None]:
        """Entered when the first connection is up; the others follow. Raises `SlackError`."""
        supervision = asyncio.create_task(self._supervise_all(url), name="Slack connections")
        try:
            await self._wait_for_hello()
            yield
        finally:
            supervision.cancel()
            await asyncio.wait({supervision}, timeout=_CLOSE_SECONDS)
            await asyncio.gather(*(supervisor.close() for supervisor in self._supervisors))

    async def _supervise_all(self, url: str) -> None:
        first, *others = self._supervisors
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(first.supervise(url))
            await self._hello_received.wait()
            for supervisor in others:
                tasks.create_task(supervisor.supervise(None))

    async def _wait_for_hello(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._hello_received.wait()
        except TimeoutError as error:
            raise SlackCallError("unreachable", "Slack's Socket Mode does not answer") from error

    async def _on_hello(self, supervisor: _ConnectionSupervisor, connection_count: int) -> None:
        """Handle Slack's hello on one connection."""
        others = [await other.is_up() for other in self._supervisors if other is not supervisor]
        self._telemetry.record_connections(1 + sum(others))
        now = self._clock.monotonic()
        broke = supervisor.had_hello and not supervisor.renewed
        if supervisor.had_hello:
            self._closed_times.append(now)
        supervisor.had_hello = True
        recently_closed = sum(now - at < _STALE_COUNT_SECONDS for at in self._closed_times)
        if connection_count > 1 + sum(others) + recently_closed:
            log.warning(
                "another program uses this SLACK_APP_TOKEN, each event goes to only one of them: "
                "connections=%d",
                connection_count,
            )
        if not any(others) or (broke and now < self._uncertain_until):
            # The only connection up: until now no event could arrive, even if that went unnoticed.
            # The same may hold if both broke one after the other.
            self._report_connected(connected=True)
        elif broke:
            self._uncertain_until = now + self._uncertain_seconds
        self._hello_received.set()

    async def _check_connections(self) -> None:
        """Report when no connection is up, and when one that seemed down is up again."""
        count = sum([await supervisor.is_up() for supervisor in self._supervisors])
        self._telemetry.record_connections(count)
        up = count > 0
        uncertain = count < CONNECTIONS and self._clock.monotonic() < self._uncertain_until
        if up is self._disconnected or uncertain:
            self._report_connected(connected=up)

    def _report_connected(self, *, connected: bool) -> None:
        self._disconnected = not connected
        self._uncertain_until = 0.0
        self._on_connection_change(connected)


class _ConnectionSupervisor:
    """Keeps one connection up: lets it request a new URL, and replaces it if that fails."""

    def __init__(
        self,
        build_connection: Callable[[_ConnectionSupervisor], SocketConnection],
        transport: SocketModeTransport,
        on_checked: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_checked` is called after each check of the connection."""
        self._build_connection = build_connection
        self._transport = transport
        self._on_checked = on_checked
        self._connection: SocketConnection | None = None
        self._connect_task: asyncio.Task[None] | None = None
        self.had_hello = False
        """True if Slack has sent a hello on this connection or one that it replaces."""

    @property
    def renewed(self) -> bool:
        """True if the connection was renewed because Slack was about to close it."""
        return self._connection is not None and self._connection.renewed

    async def is_up(self) -> bool:
        """True if the connection is up, as far as is known."""
        return self._connection is not None and bool(await self._connection.is_connected())

    async def supervise(self, url: str | None) -> None:
        """Open the connection and check it until cancelled. Errors are logged and retried."""
        self._start_connection(url)
        failed_checks = 0
        while True:
            await self._transport.clock.sleep(self._transport.ping_seconds)
            try:
                failed_checks = await self._check_connection(failed_checks)
                await self._on_checked()
            except Exception:
                log.exception("connection check failed, trying again")

    def _start_connection(self, url: str | None) -> None:
        self._connection = connection = self._build_connection(self)
        # In its own task, so that the checks can help it while it connects.
        self._connect_task = asyncio.create_task(
            connection.connect_with(url), name="connecting to Slack"
        )

    async def _check_connection(self, failed_checks: int) -> int:
        """Check the connection once. Returns the number of consecutive failed checks so far."""
        if await self.is_up():
            return 0
        if failed_checks + 1 >= _REPLACE_AFTER_CHECKS:
            log.warning("connection stays down, replacing it: checks=%d", failed_checks + 1)
            await self.close()
            self._start_connection(None)
            return 0
        if failed_checks + 1 >= _NEW_URL_AFTER_CHECKS and self._connection is not None:
            log.warning("connection is down, requesting a new URL: checks=%d", failed_checks + 1)
            self._connection.request_new_url()
        return failed_checks + 1

    async def close(self) -> None:
        """Close the connection, in a bounded time."""
        if self._connect_task is not None:
            self._connect_task.cancel()
            await asyncio.wait({self._connect_task}, timeout=_CLOSE_SECONDS)
        if self._connection is not None:
            await self._connection.shut_down()
