"""Extends the SDK's Socket Mode client for one connection.

The SDK's own client would retry a refused token without end. It would reuse a used connection URL
without end, though one is valid for one connection only. It would wait minutes for a server that
does not respond.
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
"""Timeout in seconds for the renewal of another connection before this one is renewed. Slack closes
a connection about 10 s after its warning (docs.slack.dev/apis/events-api/using-socket-mode)."""


class _UrlRedactingFilter(logging.Filter):
    """Reduces the SDK's log records to one line without URLs: their ticket is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"wss?://[^\s'\"]+", "(url)", record.getMessage())
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


sdk_log.addFilter(_UrlRedactingFilter())
sdk_log.setLevel(logging.INFO)  # at DEBUG the SDK logs every frame, with messages and tokens


class SocketConnection(SocketModeClient):
    """One connection. The SDK reconnects it when it breaks, as far as it can."""

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
        """`on_hello` is called on each hello of Slack with the number of connections that Slack
        counts (0 if it gives none). `renewal_lock` is held while a connection that Slack is about
        to close is renewed: one at a time, so that the other one stays connected."""
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
        self._frame_tasks: set[asyncio.Task[None]] = (
            set()
        )  # the event loop keeps only weak references
        self.renewed = False
        """True if the next hello follows a renewal that Slack announced, and not a break."""
        self.socket_mode_request_listeners.append(self._handle_request)
        self.message_listeners.append(self._handle_message)

    async def connect_with(self, url: str | None) -> None:
        """Connect, with as many tries as it takes; with None a new URL is requested. Returns early
        when the connection is closed."""
        self.wss_uri = url
        try:
            await self.connect()  # type: ignore[no-untyped-call]  # untyped in the SDK
        except Exception:
            log.exception("connection to Slack failed")

    async def shut_down(self) -> None:
        """Close the connection, in a bounded time. Errors of the connection are not raised."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()  # type: ignore[no-untyped-call]  # untyped in the SDK
        except Exception:
            log.exception("connection to Slack not closed properly")

    def request_new_url(self) -> None:
        """Let the SDK request a new URL; otherwise it uses the same one again."""
        self.wss_uri = None

    # Overrides of the SDK ---------------------------------------------------------------------

    async def issue_new_wss_url(self) -> str:
        return await self._urls.next_url()

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        # The SDK closes the old connection before it opens the new one. With `force` Slack is about
        # to close it; without, the old one is gone, and other connections need not be considered.
        acquired = force and await self._acquire_renewal_lock()
        try:
            self.renewed = self.renewed or force  # a close by Slack is then not a break
            await super().connect_to_new_endpoint(force)
        finally:
            if acquired:
                self._renewal_lock.release()

    async def _acquire_renewal_lock(self) -> bool:
        try:
            async with asyncio.timeout(_RENEWAL_WAIT_SECONDS):
                await self._renewal_lock.acquire()
        except TimeoutError:
            return False
        return True

    # Frames from Slack ------------------------------------------------------------------------

    async def enqueue_message(self, message: str) -> None:
        """Handle a frame in a task. The SDK would queue it for a task that starts a second one."""
        task = asyncio.create_task(self._handle_frame(message))
        self._frame_tasks.add(task)
        task.add_done_callback(self._frame_tasks.discard)

    async def _handle_frame(self, frame: str) -> None:
        """Handle an event directly, as there may be many; pass other messages to the SDK."""
        if not frame.startswith("{"):  # Slack often sends empty frames
            return
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            sdk_log.warning("frame ignored: not JSON")
            return
        body, envelope_id = message.get("payload"), message.get("envelope_id")
        if isinstance(body, dict) and body.get("type") == "event_callback" and envelope_id:
            await self._handle_event(body, envelope_id)
        else:
            await self.run_message_listeners(message, frame)

    async def _handle_event(self, body: Json, envelope_id: object) -> None:
        """Deliver an event and acknowledge it if it was accepted; otherwise Slack repeats it."""
        response = await self._receiver.receive(body)
        if response.status != 200:
            sdk_log.info("event not acknowledged: status=%d", response.status)
            return
        try:
            await self.send_message(json.dumps({"envelope_id": envelope_id}))
        except Exception as error:
            sdk_log.warning("event not acknowledged: reason=%s", error)

    async def _handle_request(
        self, client: AsyncBaseSocketModeClient, req: SocketModeRequest
    ) -> None:
        """Deliver a request and acknowledge it if it was accepted; otherwise Slack repeats it."""
        headers = {name: str(value) for name, value in (build_headers(req) or {}).items()}
        response = await self._receiver.receive(req.payload, headers)
        await send_async_response(client, req, response, self._clock.now())

    async def _handle_message(
        self, client: AsyncBaseSocketModeClient, message: dict[str, object], raw: str | None
    ) -> None:
        del client, raw
        if message.get("type") == "hello":
            self._urls.reset_backoff()
            connection_count = message.get("num_connections")
            await self._on_hello(connection_count if isinstance(connection_count, int) else 0)
            self.renewed = False


MAX_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True, kw_only=True)
class ConnectionUrls:
    """Requests connection URLs from Slack, one at a time, for all connections of the app."""

    client: AsyncWebClient
    app_token: str = field(repr=False)
    clock: Clock
    burst: int
    """Number of URLs requested without a pause: one for each connection."""
    pause_seconds: float
    """Pause in seconds before the next URL if the earlier ones failed; doubled each time, at most
    60."""
    _request_count: int = 0
    _not_before: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def next_url(self) -> str:
        """A new URL, after the pause that is due. Raises `SlackCallError`."""
        async with self._lock:
            await self.clock.sleep(self._not_before - self.clock.monotonic())
            self._request_count += 1
            pause = 0.0
            if self._request_count >= self.burst:
                doublings = min(self._request_count - self.burst, 10)
                pause = min(self.pause_seconds * 2.0**doublings, MAX_PAUSE_SECONDS)
            try:
                return await self._request_url()
            except SlackCallError as error:
                pause = max(pause, min(error.retry_after, MAX_RETRY_AFTER_SECONDS))
                raise
            finally:
                self._not_before = self.clock.monotonic() + pause

    async def first_url(self) -> str:
        """The URL for the first connection, without a pause. Raises `SlackError`, with the remedy
        in its text if the token is bad."""
        try:
            return await self._request_url()
        except SlackCallError as error:
            raise with_remedy(error, APP_TOKEN_REFUSED) from error

    def reset_backoff(self) -> None:
        """Reset the pauses: a URL led to a hello of Slack."""
        self._request_count = 0
        self._not_before = 0.0

    async def _request_url(self) -> str:
        response = await call_once(self.client.apps_connections_open(app_token=self.app_token))
        url = response.get("url")
        if not isinstance(url, str):
            raise SlackCallError("no_address", "apps.connections.open returned no url")
        return url
