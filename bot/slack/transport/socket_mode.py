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

from bot.ports import UNWATCHED, Clock, Watch
from bot.slack.api.calls import CallError
from bot.slack.api.client import WatchedClient
from bot.slack.receiver import Intake
from bot.slack.transport.socket_client import Line, Tickets

log = logging.getLogger(__name__)

LINES: Final = 2

_ASK_SECONDS: Final = 20
_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0

_NEW_TICKET_AFTER: Final = 2
_REPLACE_AFTER: Final = 6
"""After how many tries in a row that found the line down."""

_DOUBTED_PINGS: Final = 6
"""For so many tries, after a line has broken, another one may only seem to stand: one that is dead
may go unnoticed for more than four."""

_COUNTED_SECONDS: Final = 60.0
"""So long Slack may still count a line that has been given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketMode:
    """The door: `bot.slack.receiver.Door` over WebSockets."""

    app_token: str = field(repr=False)
    clock: Clock
    api_url: str = "https://slack.com/api/"
    ping_seconds: float = 10.0
    """How often the lines are tried: a dead one is noticed in about twice this time."""
    watch: Watch = UNWATCHED

    @asynccontextmanager
    async def open(self, intake: Intake, heard: Callable[[bool], None]) -> AsyncIterator[None]:
        """Connected while entered. Raises `SlackError`: with the remedy when the token is bad."""
        tickets = Tickets(
            # A client of its own: the shared one's session would wait minutes for an answer.
            client=WatchedClient(base_url=self.api_url, timeout=_ASK_SECONDS, watch=self.watch),
            app_token=self.app_token,
            clock=self.clock,
            at_once=LINES,
            pause=self.ping_seconds,
        )
        lines = _Lines(self, intake, tickets, heard)
        async with lines.kept(await tickets.first()):
            yield


class _Lines:
    """All lines of the bot."""

    def __init__(
        self, door: SocketMode, intake: Intake, tickets: Tickets, heard: Callable[[bool], None]
    ) -> None:
        self._clock = door.clock
        self._watch = door.watch
        self._heard = heard
        self._greeted = asyncio.Event()
        self._deaf = False
        self._doubt_seconds = _DOUBTED_PINGS * door.ping_seconds
        self._doubted_until = 0.0
        """Until when the lines that did not break are only taken to have heard."""
        self._given_up: deque[float] = deque(maxlen=100)
        renewing = asyncio.Lock()

        def line(keeper: _Keeper) -> Line:
            async def greeted(counted: int) -> None:
                await self._hello(keeper, counted)

            return Line(
                *(intake, tickets, door.clock),
                ping_seconds=door.ping_seconds,
                renewing=renewing,
                greeted=greeted,
            )

        self._keepers = [_Keeper(line, door, self._look) for _ in range(LINES)]

    @asynccontextmanager
    async def kept(self, address: str) -> AsyncIterator[None]:
        """Entered when the first line is up; the others follow. Raises `SlackError`."""
        keeping = asyncio.create_task(self._keep(address), name="watching the lines to Slack")
        try:
            await self._first_hello()
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=_CLOSE_SECONDS)
            await asyncio.gather(*(keeper.close() for keeper in self._keepers))

    async def _keep(self, address: str) -> None:
        first, *others = self._keepers
        async with asyncio.TaskGroup() as watching:
            watching.create_task(first.keep(address))
            await self._greeted.wait()
            for keeper in others:
                watching.create_task(keeper.keep(None))

    async def _first_hello(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._greeted.wait()
        except TimeoutError as error:
            raise CallError("unreachable", "Slack's Socket Mode does not answer") from error

    async def _hello(self, keeper: _Keeper, counted: int) -> None:
        """Slack has greeted one of the lines."""
        others = [await other.up() for other in self._keepers if other is not keeper]
        self._watch.lines(1 + sum(others))
        now = self._clock.monotonic()
        broke = keeper.greeted and not keeper.renewed
        if keeper.greeted:
            self._given_up.append(now)
        keeper.greeted = True
        gone = sum(now - at < _COUNTED_SECONDS for at in self._given_up)
        if counted > 1 + sum(others) + gone:
            log.warning(
                "another program listens with this SLACK_APP_TOKEN (Slack counts %d lines, which "
                "are not all of this bot): each event goes to only one of them",
                counted,
            )
        if not any(others) or (broke and now < self._doubted_until):
            # Alone: until now nothing was heard, whether that had been noticed or not. So it may
            # have been, too, where one after the other broke.
            self._tell(hearing=True)
        elif broke:
            self._doubted_until = now + self._doubt_seconds
        self._greeted.set()

    async def _look(self) -> None:
        """Notice when no line is up any more, and when one is up again that only seemed down."""
        count = sum([await keeper.up() for keeper in self._keepers])
        self._watch.lines(count)
        up = count > 0
        doubted = count < LINES and self._clock.monotonic() < self._doubted_until
        if up is self._deaf or doubted:
            self._tell(hearing=up)

    def _tell(self, *, hearing: bool) -> None:
        self._deaf = not hearing
        self._doubted_until = 0.0
        self._heard(hearing)


class _Keeper:
    """Keeps a line up: has it ask for a new ticket, and in the end replaces it."""

    def __init__(
        self,
        make: Callable[[_Keeper], Line],
        door: SocketMode,
        looked: Callable[[], Awaitable[None]],
    ) -> None:
        """`looked` is called after each look at the line."""
        self._make = make
        self._door = door
        self._looked = looked
        self._line: Line | None = None
        self._connecting: asyncio.Task[None] | None = None
        self.greeted = False
        """Whether Slack has ever greeted this line, or one that it took the place of."""

    @property
    def renewed(self) -> bool:
        """Whether the line stands anew because Slack was about to close it."""
        return self._line is not None and self._line.renewed

    async def up(self) -> bool:
        """Whether the line stands just now, as far as can be told."""
        return self._line is not None and bool(await self._line.is_connected())

    async def keep(self, address: str | None) -> None:
        """Begin the line, and try it for ever. What goes wrong is logged, and tried again."""
        self._begin(address)
        down = 0
        while True:
            await self._door.clock.sleep(self._door.ping_seconds)
            try:
                down = await self._mend(down)
                await self._looked()
            except Exception:
                log.exception("the line to Slack could not be looked after; trying again")

    def _begin(self, address: str | None) -> None:
        self._line = line = self._make(self)
        # On its own, so that the watch can help it while it is at it.
        self._connecting = asyncio.create_task(line.begin(address), name="connecting to Slack")

    async def _mend(self, down: int) -> int:
        """Look at the line once; how often in a row it was down, this time included."""
        if await self.up():
            return 0
        if down + 1 >= _REPLACE_AFTER:
            log.warning("the line to Slack stays down; starting anew")
            await self.close()
            self._begin(None)
            return 0
        if down + 1 >= _NEW_TICKET_AFTER and self._line is not None:
            log.warning("the line to Slack is down; asking for a new ticket")
            self._line.wants_ticket()
        return down + 1

    async def close(self) -> None:
        """Give up the line; bounded."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting}, timeout=_CLOSE_SECONDS)
        if self._line is not None:
            await self._line.end()
