"""The way in by Socket Mode: the bot connects to Slack, so nothing needs to reach the bot.

Two lines at once: Slack closes each of them about once an hour, and sends what comes meanwhile by
the other one. Both bring all they hear to the one intake.
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
"""After how many tries in a row that found the line down."""

_UNCERTAIN_PINGS: Final = 6
"""For so many tries, after a line has broken, another one may only seem to stand: one that is dead
may go unnoticed for more than four."""

_STALE_COUNT_SECONDS: Final = 60.0
"""So long Slack may still count a line that has been given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketModeTransport:
    """The door: `bot.slack.receiver.Door` over WebSockets."""

    app_token: str = field(repr=False)
    clock: Clock
    api_url: str = "https://slack.com/api/"
    ping_seconds: float = 10.0
    """How often the lines are tried: a dead one is noticed in about twice this time."""
    telemetry: Telemetry = NULL_TELEMETRY

    @asynccontextmanager
    async def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AsyncIterator[None]:
        """Connected while entered. Raises `SlackError`: with the remedy when the token is bad."""
        tickets = ConnectionUrls(
            # A client of its own: the shared one's session would wait minutes for an answer.
            client=InstrumentedWebClient(
                base_url=self.api_url, timeout=_API_TIMEOUT_SECONDS, telemetry=self.telemetry
            ),
            app_token=self.app_token,
            clock=self.clock,
            burst=CONNECTIONS,
            pause_seconds=self.ping_seconds,
        )
        lines = _Connections(self, receiver, tickets, on_connection_change)
        async with lines.connected(await tickets.first_url()):
            yield


class _Connections:
    """All lines of the bot."""

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
        """Until when the lines that did not break are only taken to have heard."""
        self._closed_times: deque[float] = deque(maxlen=100)
        renewing = asyncio.Lock()

        def line(keeper: _ConnectionSupervisor) -> SocketConnection:
            async def greeted(counted: int) -> None:
                await self._on_hello(keeper, counted)

            return SocketConnection(
                *(receiver, urls, transport.clock),
                ping_seconds=transport.ping_seconds,
                renewal_lock=renewing,
                on_hello=greeted,
            )

        self._supervisors = [
            _ConnectionSupervisor(line, transport, self._check_connections)
            for _ in range(CONNECTIONS)
        ]

    @asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator[None]:
        """Entered when the first line is up; the others follow. Raises `SlackError`."""
        keeping = asyncio.create_task(self._supervise_all(url), name="watching the lines to Slack")
        try:
            await self._wait_for_hello()
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=_CLOSE_SECONDS)
            await asyncio.gather(*(keeper.close() for keeper in self._supervisors))

    async def _supervise_all(self, url: str) -> None:
        first, *others = self._supervisors
        async with asyncio.TaskGroup() as watching:
            watching.create_task(first.supervise(url))
            await self._hello_received.wait()
            for keeper in others:
                watching.create_task(keeper.supervise(None))

    async def _wait_for_hello(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._hello_received.wait()
        except TimeoutError as error:
            raise SlackCallError("unreachable", "Slack's Socket Mode does not answer") from error

    async def _on_hello(self, supervisor: _ConnectionSupervisor, connection_count: int) -> None:
        """Slack has greeted one of the lines."""
        others = [await other.is_up() for other in self._supervisors if other is not supervisor]
        self._telemetry.record_connections(1 + sum(others))
        now = self._clock.monotonic()
        broke = supervisor.had_hello and not supervisor.renewed
        if supervisor.had_hello:
            self._closed_times.append(now)
        supervisor.had_hello = True
        gone = sum(now - at < _STALE_COUNT_SECONDS for at in self._closed_times)
        if connection_count > 1 + sum(others) + gone:
            log.warning(
                "another program listens with this SLACK_APP_TOKEN (Slack counts %d lines, which "
                "are not all of this bot): each event goes to only one of them",
                connection_count,
            )
        if not any(others) or (broke and now < self._uncertain_until):
            # Alone: until now nothing was heard, whether that had been noticed or not. So it may
            # have been, too, where one after the other broke.
            self._report_connected(connected=True)
        elif broke:
            self._uncertain_until = now + self._uncertain_seconds
        self._hello_received.set()

    async def _check_connections(self) -> None:
        """Notice when no line is up any more, and when one is up again that only seemed down."""
        count = sum([await keeper.is_up() for keeper in self._supervisors])
        self._telemetry.record_connections(count)
        up = count > 0
        doubted = count < CONNECTIONS and self._clock.monotonic() < self._uncertain_until
        if up is self._disconnected or doubted:
            self._report_connected(connected=up)

    def _report_connected(self, *, connected: bool) -> None:
        self._disconnected = not connected
        self._uncertain_until = 0.0
        self._on_connection_change(connected)


class _ConnectionSupervisor:
    """Keeps a line up: has it ask for a new ticket, and in the end replaces it."""

    def __init__(
        self,
        build_connection: Callable[[_ConnectionSupervisor], SocketConnection],
        transport: SocketModeTransport,
        on_checked: Callable[[], Awaitable[None]],
    ) -> None:
        """`looked` is called after each look at the line."""
        self._build_connection = build_connection
        self._transport = transport
        self._on_checked = on_checked
        self._connection: SocketConnection | None = None
        self._connect_task: asyncio.Task[None] | None = None
        self.had_hello = False
        """Whether Slack has ever greeted this line, or one that it took the place of."""

    @property
    def renewed(self) -> bool:
        """Whether the line stands anew because Slack was about to close it."""
        return self._connection is not None and self._connection.renewed

    async def is_up(self) -> bool:
        """Whether the line stands just now, as far as can be told."""
        return self._connection is not None and bool(await self._connection.is_connected())

    async def supervise(self, url: str | None) -> None:
        """Begin the line, and try it for ever. What goes wrong is logged, and tried again."""
        self._start_connection(url)
        down = 0
        while True:
            await self._transport.clock.sleep(self._transport.ping_seconds)
            try:
                down = await self._check_connection(down)
                await self._on_checked()
            except Exception:
                log.exception("the line to Slack could not be looked after; trying again")

    def _start_connection(self, url: str | None) -> None:
        self._connection = line = self._build_connection(self)
        # On its own, so that the watch can help it while it is at it.
        self._connect_task = asyncio.create_task(line.connect_with(url), name="connecting to Slack")

    async def _check_connection(self, failed_checks: int) -> int:
        """Look at the line once; how often in a row it was down, this time included."""
        if await self.is_up():
            return 0
        if failed_checks + 1 >= _REPLACE_AFTER_CHECKS:
            log.warning("the line to Slack stays down; starting anew")
            await self.close()
            self._start_connection(None)
            return 0
        if failed_checks + 1 >= _NEW_URL_AFTER_CHECKS and self._connection is not None:
            log.warning("the line to Slack is down; asking for a new ticket")
            self._connection.request_new_url()
        return failed_checks + 1

    async def close(self) -> None:
        """Give up the line; bounded."""
        if self._connect_task is not None:
            self._connect_task.cancel()
            await asyncio.wait({self._connect_task}, timeout=_CLOSE_SECONDS)
        if self._connection is not None:
            await self._connection.shut_down()
