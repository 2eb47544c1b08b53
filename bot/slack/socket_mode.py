"""The way in by Socket Mode: the bot connects to Slack, so nothing needs to reach the bot.

The SDK's client reconnects by itself, with gaps that are closed here: it would try a refused token
for ever, it would knock with a used-up ticket for ever (a ticket is good for one connection), it
waits minutes for a server that says nothing, and it never tells that another program is taking
this bot's events.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SlackError
from bot.ports import Clock
from bot.slack.calls import called
from bot.slack.intake import Intake
from bot.slack.tokens import APP_REFUSED, OUT_OF_REACH, REFUSED

log = logging.getLogger(__name__)
sdk_log = logging.getLogger(f"{__name__}.sdk")

_ASK_SECONDS: Final = 20
_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0

_NEW_TICKET_AFTER: Final = 2
_REPLACE_AFTER: Final = 6
"""After how many tries in a row that found the line down."""


class _WithoutTickets(logging.Filter):
    """Keeps the SDK's log to one line each, without addresses: a ticket in them is a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"wss?://[^\s'\"]+", "(address)", record.getMessage())
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


sdk_log.addFilter(_WithoutTickets())
sdk_log.setLevel(logging.INFO)  # below that the SDK prints every frame: what people write, tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketMode:
    """The door: `bot.slack.gateway.Door` over a WebSocket."""

    app_token: str = field(repr=False)
    clock: Clock
    api_url: str = "https://slack.com/api/"
    ping_seconds: float = 10.0
    """How often the line is tried: a dead one is noticed in about twice this time."""

    @asynccontextmanager
    async def open(self, intake: Intake) -> AsyncIterator[None]:
        """Connected while entered. Raises `SlackError`: with the remedy when the token is bad."""
        # A client of its own: the shared one's session would wait minutes for an answer.
        client = AsyncWebClient(base_url=self.api_url, timeout=_ASK_SECONDS, retry_handlers=[])
        address = await _address(client, self.app_token)
        keeper = _Keeper(self, intake, client)
        keeper.begin(address)
        watching = asyncio.create_task(keeper.watch(), name="watching the line to Slack")
        try:
            await keeper.wait()
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching}, timeout=_CLOSE_SECONDS)
            await keeper.close()


async def _address(client: AsyncWebClient, app_token: str) -> str:
    """Where to connect, which also shows whether the token is good."""
    try:
        answer = await called(client.apps_connections_open(app_token=app_token))
    except SlackError as error:
        if error.code in REFUSED:
            raise SlackError(error.code, APP_REFUSED.format(code=error.code)) from error
        raise SlackError(error.code, OUT_OF_REACH) from error
    address = answer.get("url")
    if not isinstance(address, str):
        raise SlackError("no_address", "apps.connections.open answered without an address")
    return address


class _Line(AsyncSocketModeHandler):
    """One line to Slack. The SDK mends it when it breaks, as far as it knows how."""

    client: SocketModeClient

    def __init__(
        self, door: SocketMode, intake: Intake, client: AsyncWebClient, heard: asyncio.Event
    ) -> None:
        """`heard` is set when Slack has said hello."""
        super().__init__(
            intake.app,
            door.app_token,
            logger=sdk_log,
            web_client=client,
            ping_interval=door.ping_seconds,
        )
        self._intake = intake
        self._clock = door.clock
        self._heard = heard
        self.client.message_listeners.append(self._hello)

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        """One envelope: it is acknowledged when the intake has taken it, else Slack repeats it."""
        headers = {name: str(value) for name, value in (build_headers(req) or {}).items()}
        answer = await self._intake.deliver(req.payload, headers)
        await send_async_response(client, req, answer, self._clock.now())

    async def connect(self) -> None:
        """Connect, however often it takes; returns early when the line is closed."""
        try:
            await self.connect_async()  # type: ignore[no-untyped-call]  # Bolt gives it none
        except Exception:
            log.exception("connecting to Slack failed")

    async def close(self) -> None:
        """Hang up; bounded, and never raises for the line's sake."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close_async()  # type: ignore[no-untyped-call]  # Bolt gives it none
        except Exception:
            log.exception("the line to Slack did not close in order")

    async def _hello(
        self, client: AsyncBaseSocketModeClient, message: dict[str, object], raw: str | None
    ) -> None:
        del client, raw
        if message.get("type") != "hello":
            return
        lines = message.get("num_connections")
        if isinstance(lines, int) and lines > 1:
            log.warning(
                "%d programs listen with this SLACK_APP_TOKEN: each event goes to only one of them",
                lines,
            )
        self._heard.set()


class _Keeper:
    """Keeps a line up: gives it a new ticket, and in the end replaces it."""

    def __init__(self, door: SocketMode, intake: Intake, client: AsyncWebClient) -> None:
        self._door = door
        self._intake = intake
        self._client = client
        self._heard = asyncio.Event()

    def begin(self, address: str | None = None) -> None:
        """Start a line; without an address it asks for one."""
        self._line = _Line(self._door, self._intake, self._client, self._heard)
        self._line.client.wss_uri = address
        # On its own, so that the watch can help it while it is at it.
        self._connecting = asyncio.create_task(self._line.connect(), name="connecting to Slack")

    async def wait(self) -> None:
        """Return when Slack has said hello. Raises `SlackError` after 30 s without it."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._heard.wait()
        except TimeoutError as error:
            raise SlackError("unreachable", "Slack's Socket Mode does not answer") from error

    async def watch(self) -> None:
        """Try the line for ever. What goes wrong is logged, and tried again."""
        down = 0
        while True:
            await self._door.clock.sleep(self._door.ping_seconds)
            try:
                down = await self._mend(down)
            except Exception:
                log.exception("the line to Slack could not be looked after; trying again")

    async def _mend(self, down: int) -> int:
        """Look at the line once; how often in a row it was down, this time included."""
        if await self._line.client.is_connected():
            return 0
        if down + 1 >= _REPLACE_AFTER:
            log.warning("the line to Slack stays down; starting anew")
            await self.close()
            self.begin()
            return 0
        if down + 1 >= _NEW_TICKET_AFTER:
            # The SDK would use the same ticket again and again, and it is good for one connection
            # only; without one it asks for a new one.
            log.warning("the line to Slack is down; asking for a new ticket")
            self._line.client.wss_uri = None
        return down + 1

    async def close(self) -> None:
        """Give up the line; bounded."""
        self._connecting.cancel()
        await asyncio.wait({self._connecting}, timeout=_CLOSE_SECONDS)
        await self._line.close()
