"""One line to Slack by Socket Mode: the SDK's client, with its gaps closed.

By itself it would try a refused token for ever, knock with a used-up ticket for ever (a ticket is
good for one connection), and wait minutes for a server that says nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.ports import Clock
from bot.slack.receiver import Intake, Json
from bot.slack.transport.tickets import Tickets

log = logging.getLogger(__name__)
sdk_log = logging.getLogger(f"{__name__}.sdk")

_CLOSE_SECONDS: Final = 5.0
_TURN_SECONDS: Final = 8.0
"""How long a line that Slack is about to close waits for another one to be renewed: after its
warning Slack leaves it about ten seconds (docs.slack.dev/apis/events-api/using-socket-mode)."""


class _WithoutTickets(logging.Filter):
    """Keeps the SDK's log to one line each, without addresses: a ticket in them is a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"wss?://[^\s'\"]+", "(address)", record.getMessage())
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


sdk_log.addFilter(_WithoutTickets())
sdk_log.setLevel(logging.INFO)  # below that the SDK prints every frame: what people write, tokens


class Line(SocketModeClient):
    """One line. The SDK mends it when it breaks, as far as it knows how."""

    def __init__(
        self,
        intake: Intake,
        tickets: Tickets,
        clock: Clock,
        *,
        ping_seconds: float,
        renewing: asyncio.Lock,
        greeted: Callable[[int], Awaitable[None]],
    ) -> None:
        """`greeted` is told of each hello of Slack's, with the number of lines that Slack counts
        (0 where it does not say). `renewing` is held while a line that Slack is about to close is
        renewed: one at a time, so that another one hears meanwhile."""
        super().__init__(
            app_token=tickets.app_token,
            logger=sdk_log,
            web_client=tickets.client,
            ping_interval=ping_seconds,
        )
        self._intake = intake
        self._tickets = tickets
        self._clock = clock
        self._renewing = renewing
        self._greeted = greeted
        self._under_way: set[asyncio.Task[None]] = set()  # a loop alone would forget them
        self.renewed = False
        """Whether Slack's next hello comes because it was about to close the line, and not because
        the line broke."""
        self.socket_mode_request_listeners.append(self._envelope)
        self.message_listeners.append(self._message)

    async def begin(self, address: str | None) -> None:
        """Connect, however often it takes, without an address by a ticket of its own; returns
        early when the line is closed."""
        self.wss_uri = address
        try:
            await self.connect()  # type: ignore[no-untyped-call]  # the SDK types it not
        except Exception:
            log.exception("connecting to Slack failed")

    async def end(self) -> None:
        """Hang up; bounded, and never raises for the line's sake."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()  # type: ignore[no-untyped-call]  # the SDK types it not
        except Exception:
            log.exception("the line to Slack did not close in order")

    def wants_ticket(self) -> None:
        """Have it ask for a new ticket: else the SDK uses the same one again and again."""
        self.wss_uri = None

    # What the SDK asks for --------------------------------------------------------------------

    async def issue_new_wss_url(self) -> str:
        return await self._tickets.next()

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        # The SDK closes the old connection before it opens the new one. With `force` it does so
        # because Slack is about to; without, because the old one is gone, and nobody waits for it.
        mine = force and await self._turn()
        try:
            self.renewed = self.renewed or force  # Slack hanging up then is no break
            await super().connect_to_new_endpoint(force)
        finally:
            if mine:
                self._renewing.release()

    async def _turn(self) -> bool:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._renewing.acquire()
        except TimeoutError:
            return False
        return True

    # What Slack says --------------------------------------------------------------------------

    async def enqueue_message(self, message: str) -> None:
        """Take a frame. The SDK would queue it for a task that begins another one for each."""
        task = asyncio.create_task(self._said(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _said(self, frame: str) -> None:
        """Events, which may be many, go a short way; all else goes the SDK's."""
        if not frame.startswith("{"):  # Slack often sends empty frames
            return
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            sdk_log.warning("what Slack says is no JSON, and is left alone")
            return
        body, number = message.get("payload"), message.get("envelope_id")
        if isinstance(body, dict) and body.get("type") == "event_callback" and number:
            await self._event(body, number)
        else:
            await self.run_message_listeners(message, frame)

    async def _event(self, body: Json, number: object) -> None:
        """It is acknowledged when the intake has taken it, else Slack repeats it."""
        answer = await self._intake.deliver(body)
        if answer.status != 200:
            sdk_log.info("an event is not acknowledged (status %d)", answer.status)
            return
        try:
            await self.send_message(json.dumps({"envelope_id": number}))
        except Exception as error:
            sdk_log.warning("an event could not be acknowledged: %s", error)

    async def _envelope(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        """It is acknowledged when the intake has taken it, else Slack repeats it."""
        headers = {name: str(value) for name, value in (build_headers(req) or {}).items()}
        answer = await self._intake.deliver(req.payload, headers)
        await send_async_response(client, req, answer, self._clock.now())

    async def _message(
        self, client: AsyncBaseSocketModeClient, message: dict[str, object], raw: str | None
    ) -> None:
        del client, raw
        if message.get("type") == "hello":
            self._tickets.led_in()
            counted = message.get("num_connections")
            await self._greeted(counted if isinstance(counted, int) else 0)
            self.renewed = False
