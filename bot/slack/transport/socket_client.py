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
from dataclasses import dataclass, field
from typing import Final

from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.ports import Clock
from bot.slack.api.auth_errors import APP_TOKEN_REFUSED, with_remedy
from bot.slack.api.calls import SlackCallError, call_once
from bot.slack.api.rate_limiter import MAX_RETRY_AFTER_SECONDS
from bot.slack.receiver import EventReceiver, Json

log = logging.getLogger(__name__)
sdk_log = logging.getLogger(f"{__name__}.sdk")

_CLOSE_SECONDS: Final = 5.0
_RENEWAL_WAIT_SECONDS: Final = 8.0
"""How long a line that Slack is about to close waits for another one to be renewed: after its
warning Slack leaves it about ten seconds (docs.slack.dev/apis/events-api/using-socket-mode)."""


class _UrlRedactingFilter(logging.Filter):
    """Keeps the SDK's log to one line each, without addresses: a ticket in them is a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"wss?://[^\s'\"]+", "(address)", record.getMessage())
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


sdk_log.addFilter(_UrlRedactingFilter())
sdk_log.setLevel(logging.INFO)  # below that the SDK prints every frame: what people write, tokens


class SocketConnection(SocketModeClient):
    """One line. The SDK mends it when it breaks, as far as it knows how."""

    def __init__(
        self,
        receiver: EventReceiver,
        urls: ConnectionUrls,
        clock: Clock,
        *,
        ping_seconds: float,
        renewal_lock: asyncio.Lock,
        on_hello: Callable[[int], Awaitable[None]],
    ) -> None:
        """`greeted` is told of each hello of Slack's, with the number of lines that Slack counts
        (0 where it does not say). `renewing` is held while a line that Slack is about to close is
        renewed: one at a time, so that another one hears meanwhile."""
        super().__init__(
            app_token=urls.app_token,
            logger=sdk_log,
            web_client=urls.client,
            ping_interval=ping_seconds,
        )
        self._receiver = receiver
        self._urls = urls
        self._clock = clock
        self._renewal_lock = renewal_lock
        self._on_hello = on_hello
        self._frame_tasks: set[asyncio.Task[None]] = set()  # a loop alone would forget them
        self.renewed = False
        """Whether Slack's next hello comes because it was about to close the line, and not because
        the line broke."""
        self.socket_mode_request_listeners.append(self._handle_request)
        self.message_listeners.append(self._handle_message)

    async def connect_with(self, url: str | None) -> None:
        """Connect, however often it takes, without an address by a ticket of its own; returns
        early when the line is closed."""
        self.wss_uri = url
        try:
            await self.connect()  # type: ignore[no-untyped-call]  # the SDK types it not
        except Exception:
            log.exception("connecting to Slack failed")

    async def shut_down(self) -> None:
        """Hang up; bounded, and never raises for the line's sake."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()  # type: ignore[no-untyped-call]  # the SDK types it not
        except Exception:
            log.exception("the line to Slack did not close in order")

    def request_new_url(self) -> None:
        """Have it ask for a new ticket: else the SDK uses the same one again and again."""
        self.wss_uri = None

    # What the SDK asks for --------------------------------------------------------------------

    async def issue_new_wss_url(self) -> str:
        return await self._urls.next_url()

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        # The SDK closes the old connection before it opens the new one. With `force` it does so
        # because Slack is about to; without, because the old one is gone, and nobody waits for it.
        mine = force and await self._acquire_renewal_lock()
        try:
            self.renewed = self.renewed or force  # Slack hanging up then is no break
            await super().connect_to_new_endpoint(force)
        finally:
            if mine:
                self._renewal_lock.release()

    async def _acquire_renewal_lock(self) -> bool:
        try:
            async with asyncio.timeout(_RENEWAL_WAIT_SECONDS):
                await self._renewal_lock.acquire()
        except TimeoutError:
            return False
        return True

    # What Slack says --------------------------------------------------------------------------

    async def enqueue_message(self, message: str) -> None:
        """Take a frame. The SDK would queue it for a task that begins another one for each."""
        task = asyncio.create_task(self._handle_frame(message))
        self._frame_tasks.add(task)
        task.add_done_callback(self._frame_tasks.discard)

    async def _handle_frame(self, frame: str) -> None:
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
            await self._handle_event(body, number)
        else:
            await self.run_message_listeners(message, frame)

    async def _handle_event(self, body: Json, envelope_id: object) -> None:
        """It is acknowledged when the intake has taken it, else Slack repeats it."""
        answer = await self._receiver.deliver(body)
        if answer.status != 200:
            sdk_log.info("an event is not acknowledged (status %d)", answer.status)
            return
        try:
            await self.send_message(json.dumps({"envelope_id": envelope_id}))
        except Exception as error:
            sdk_log.warning("an event could not be acknowledged: %s", error)

    async def _handle_request(
        self, client: AsyncBaseSocketModeClient, req: SocketModeRequest
    ) -> None:
        """It is acknowledged when the intake has taken it, else Slack repeats it."""
        headers = {name: str(value) for name, value in (build_headers(req) or {}).items()}
        answer = await self._receiver.deliver(req.payload, headers)
        await send_async_response(client, req, answer, self._clock.now())

    async def _handle_message(
        self, client: AsyncBaseSocketModeClient, message: dict[str, object], raw: str | None
    ) -> None:
        del client, raw
        if message.get("type") == "hello":
            self._urls.reset_backoff()
            counted = message.get("num_connections")
            await self._on_hello(counted if isinstance(counted, int) else 0)
            self.renewed = False


MAX_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True, kw_only=True)
class ConnectionUrls:
    """One for the app: all its lines ask here, one after another."""

    client: AsyncWebClient
    app_token: str = field(repr=False)
    clock: Clock
    burst: int
    """So many are asked for without a pause: one for each line."""
    pause_seconds: float
    """Seconds before the next one where those led nowhere; doubled each time, 60 at most."""
    _request_count: int = 0
    _not_before: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def next_url(self) -> str:
        """Where to connect. Waits as long as it takes for its turn. Raises `SlackCallError`."""
        async with self._lock:
            await self.clock.sleep(self._not_before - self.clock.monotonic())
            self._request_count += 1
            wait = 0.0
            if self._request_count >= self.burst:
                doubled = min(self._request_count - self.burst, 10)
                wait = min(self.pause_seconds * 2.0**doubled, MAX_PAUSE_SECONDS)
            try:
                return await self._request_url()
            except SlackCallError as error:
                wait = max(wait, min(error.retry_after, MAX_RETRY_AFTER_SECONDS))
                raise
            finally:
                self._not_before = self.clock.monotonic() + wait

    async def first_url(self) -> str:
        """The same for the start, without waiting. Raises `SlackError`: with the remedy in its
        text when the token is bad."""
        try:
            return await self._request_url()
        except SlackCallError as error:
            raise with_remedy(error, APP_TOKEN_REFUSED) from error

    def reset_backoff(self) -> None:
        """A ticket led to Slack's hello: from here on tickets are as good as ever."""
        self._request_count = 0
        self._not_before = 0.0

    async def _request_url(self) -> str:
        answer = await call_once(self.client.apps_connections_open(app_token=self.app_token))
        address = answer.get("url")
        if not isinstance(address, str):
            raise SlackCallError("no_address", "apps.connections.open answered without an address")
        return address
