"""The way in by Socket Mode: the bot connects to Slack, so nothing needs to reach the bot.

The SDK's client reconnects by itself, with three gaps that are closed here: it would try a refused
token for ever, it would knock with a used-up ticket for ever (a ticket is good for one connection),
and it never says that another program is taking this bot's events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
from bot.slack.border import called
from bot.slack.intake import Intake

log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0

_REFUSED = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "missing_scope",
        "no_permission",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketMode:
    """The door: `bot.slack.gateway.Door` over a WebSocket."""

    client: AsyncWebClient
    """Any client with Slack's address; the app-level token is used in place of its own."""
    app_token: str = field(repr=False)
    clock: Clock
    ping_seconds: float = 10.0
    """How often the line is tried: a dead one is noticed in about twice this time."""

    @asynccontextmanager
    async def open(self, intake: Intake) -> AsyncIterator[None]:
        """Connected while entered. Raises `SlackError`: with the remedy when the token is bad."""
        first_address = await self._address()
        line = _Line(intake, self)
        line.client.wss_uri = first_address
        watching = asyncio.create_task(line.watch(), name="watching the line to Slack")
        try:
            await line.connect()
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await line.close()

    async def _address(self) -> str:
        """Where to connect, which also shows whether the token is good."""
        try:
            answer = await called(self.client.apps_connections_open(app_token=self.app_token))
        except SlackError as error:
            if error.code in _REFUSED:
                remedy = (
                    "Slack does not accept the app-level token (SLACK_APP_TOKEN). Make one with "
                    "the scope connections:write under Basic Information of your Slack app; it "
                    "begins with xapp-. Socket Mode has to be switched on as well."
                )
                raise SlackError(error.code, remedy) from error
            raise
        address = answer.get("url")
        if not isinstance(address, str):
            raise SlackError("no_address", "apps.connections.open answered without an address")
        return address


class _Line(AsyncSocketModeHandler):
    """One line to Slack, mended whenever it breaks."""

    client: SocketModeClient

    def __init__(self, intake: Intake, door: SocketMode) -> None:
        super().__init__(
            intake.app,
            door.app_token,
            logger=log,
            web_client=door.client,
            ping_interval=door.ping_seconds,
        )
        self._intake = intake
        self._clock = door.clock
        self._ping_seconds = door.ping_seconds
        self._heard = asyncio.Event()
        self.client.message_listeners.append(self._hello)

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        """One envelope: it is acknowledged when the intake has taken it, else Slack repeats it."""
        headers = {name: str(value) for name, value in (build_headers(req) or {}).items()}
        answer = await self._intake.deliver(req.payload, headers)
        await send_async_response(client, req, answer, self._clock.now())

    async def connect(self) -> None:
        """Return when Slack has said hello. Raises `SlackError` after 30 s without it."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self.connect_async()  # type: ignore[no-untyped-call]  # Bolt gives it none
                await self._heard.wait()
        except TimeoutError as error:
            raise SlackError("unreachable", "Slack's Socket Mode does not answer") from error

    async def close(self) -> None:
        """Hang up; bounded, and never raises for the line's sake."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close_async()  # type: ignore[no-untyped-call]  # Bolt gives it none
        except Exception:
            log.exception("the line to Slack did not close in order")

    async def watch(self) -> None:
        """See to it that a line that stays down is given a new ticket."""
        down = False
        while True:
            await self._clock.sleep(self._ping_seconds)
            was_down, down = down, not await self.client.is_connected()
            if down and was_down:
                # The SDK would use the same ticket again and again, and it is good for one
                # connection only; without one it asks for a new one.
                log.warning("the line to Slack is down; asking for a new ticket")
                self.client.wss_uri = None

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
