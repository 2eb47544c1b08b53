"""Receives events over HTTP: verifies that Slack signed each request and passes it on.

`POST /slack/events` takes events, commands and interactions; `GET /healthz` and `GET /readyz` are
the health routes. Statuses of success and of errors in the request: 200 accepted, 400 not a payload
of Slack, 401 not signed by Slack, 405 wrong method, 408 too slow, 413 too large. With 503 the
request is not accepted, and Slack repeats it. A request without a plausible signature is refused by
its headers: its body is not read.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from slack_bolt.adapter.aiohttp import to_aiohttp_response

from bot.errors import SettingsError
from bot.health_routes import add_health_routes
from bot.http_server import ServerLimits, serve_http
from bot.logs import LogThrottle
from bot.ports import Clock
from bot.slack.receiver import EventReceiver
from bot.slack.transport.replay_guard import ReplayGuard, SeenState
from bot.slack.transport.request_body import RequestBodies, RequestBodyLimitExceeded

log = logging.getLogger(__name__)
http_log = logging.getLogger(f"{__name__}.aiohttp")


class _ErrorKindFilter(logging.Filter):
    """Reduces aiohttp's log records to the kind of error. aiohttp would print the lines of a
    malformed request, and any client may send those without limit."""

    def __init__(self) -> None:
        super().__init__()
        self._throttle = LogThrottle()

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        record.msg = "request not handled: reason=%s"
        record.args = (kind.__name__ if kind else "unknown",)
        record.exc_info = record.exc_text = None
        if kind is not None and issubclass(kind, HttpProcessingError | web.RequestPayloadError):
            # The client's fault, not the server's.
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            return self._throttle.allow(kind.__name__)
        return True


http_log.addFilter(_ErrorKindFilter())

MAX_BODY_BYTES: Final = 4 << 20
"""Size of a body in bytes. A button's payload carries its whole message: 1 MiB is too little."""

MAX_TOTAL_BODY_BYTES: Final = 32 << 20
"""Size in bytes of all bodies in memory together, beyond 64 KiB of each."""

SERVER_LIMITS: Final = ServerLimits(max_connections=128)
"""Slack delivers at most about 8 requests a second (30,000/h); each takes 10 s at most."""

MAX_JSON_DEPTH: Final = 64
"""Maximum nesting depth of a payload; Slack's own are nested less than half as deep."""

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_SIGNATURE_VALID_SECONDS: Final = 300  # docs.slack.dev/authentication/verifying-requests-from-slack
_BODY_READ_SECONDS: Final = 10.0
_READY_SECONDS: Final = 5.0

Json = dict[str, object]


class InvalidPayload(ValueError):
    """The body is not a payload that Slack sends."""


@dataclass(slots=True, kw_only=True)
class HttpTransport:
    """`bot.slack.receiver.Transport` over HTTP."""

    signing_secret: str = field(repr=False)
    clock: Clock
    check_ready: Callable[[], Awaitable[bool]]
    host: str = "127.0.0.1"
    port: int = 3000
    """The port to listen on. With 0 the system chooses one, which is set here when open."""
    limits: ServerLimits = SERVER_LIMITS
    max_total_body_bytes: int = MAX_TOTAL_BODY_BYTES
    _throttle: LogThrottle = field(default_factory=LogThrottle, init=False, repr=False)
    _replay_guard: ReplayGuard = field(
        default_factory=partial(ReplayGuard, _SIGNATURE_VALID_SECONDS), init=False
    )

    def __post_init__(self) -> None:
        if not self.signing_secret.strip():
            raise SettingsError(
                ["SLACK_SIGNING_SECRET is empty: copy it from Basic Information of your Slack app."]
            )

    @asynccontextmanager
    async def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AsyncIterator[None]:
        """Serve inside the context. Raises `SettingsError` if the address cannot be used."""
        server = serve_http(
            *(self._build_app(receiver), self.host, self.port),
            setting_prefix="HTTP",
            limits=self.limits,
            logger=http_log,
        )
        async with server as self.port:
            on_connection_change(True)
            yield

    def _build_app(self, receiver: EventReceiver) -> web.Application:
        bodies = RequestBodies(MAX_BODY_BYTES, self.max_total_body_bytes)

        async def handle_events(request: web.Request) -> web.Response:
            return await self._handle_post(receiver, bodies, request)

        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/slack/events", handle_events)
        add_health_routes(app, self.check_ready, _READY_SECONDS)
        app.on_response_prepare.append(_strip_server_header)
        return app

    async def _handle_post(
        self, receiver: EventReceiver, bodies: RequestBodies, request: web.Request
    ) -> web.Response:
        if not has_plausible_signature(request.headers, self.clock.now()):
            return self._reject_unsigned()
        try:
            async with asyncio.timeout(_BODY_READ_SECONDS):
                body = await bodies.read_body(request)
        except TimeoutError:
            return _closing_response(408)
        except RequestBodyLimitExceeded:
            self._warn_throttled(
                "request refused, too many large ones in progress: Slack repeats it"
            )
            return _closing_response(503)
        except (web.RequestPayloadError, ConnectionError):
            return _closing_response(400)  # not compressed as declared, or the client left
        try:
            return await self._verify_and_deliver(receiver, request, body.raw)
        finally:
            bodies.release(body)

    async def _verify_and_deliver(
        self, receiver: EventReceiver, request: web.Request, raw: bytes
    ) -> web.Response:
        """The response to a request whose body was read."""
        if not is_signed_by_slack(self.signing_secret, request.headers, raw, self.clock.now()):
            return self._reject_unsigned()
        signature = request.headers.get("X-Slack-Signature", "")
        match self._replay_guard.start_request(signature, self.clock.now()):
            case SeenState.ACCEPTED:
                log.warning("signed request ignored: it was accepted before")
                return web.Response(status=200)
            case SeenState.IN_PROGRESS:
                log.warning("signed request refused: the same one is in progress")
                return web.Response(status=503)
        accepted = False
        try:
            response = await self._deliver(receiver, request, raw)
            accepted = response.status == 200
        finally:
            self._replay_guard.finish_request(signature, self.clock.now(), accepted=accepted)
        return response

    async def _deliver(
        self, receiver: EventReceiver, request: web.Request, raw: bytes
    ) -> web.Response:
        """The response to a request that Slack signed."""
        try:
            body = parse_body(raw, request.content_type)
        except InvalidPayload as error:
            log.warning("signed request invalid: reason=%s", error)
            return web.Response(status=400)
        retry_headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith("x-slack-retry-") and value
        }
        response = await to_aiohttp_response(await receiver.receive(body, retry_headers))
        response.charset = "utf-8"  # Bolt's adapter drops it
        return response

    def _reject_unsigned(self) -> web.Response:
        self._warn_throttled("request refused: not signed by Slack")
        return _closing_response(401)

    def _warn_throttled(self, message: str) -> None:
        if self._throttle.allow(message):
            log.warning(message)


async def _strip_server_header(_: web.Request, response: web.StreamResponse) -> None:
    """Remove the header that names the server and its version."""
    response.headers.pop("Server", None)


def has_plausible_signature(headers: Mapping[str, str], now: float) -> bool:
    """True if the headers have a timestamp within 5 minutes of `now` and a well-formed signature.
    `now` is in seconds since the epoch."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not _TIMESTAMP.fullmatch(stamp) or abs(now - int(stamp)) > _SIGNATURE_VALID_SECONDS:
        return False
    return _SIGNATURE.fullmatch(headers.get("X-Slack-Signature", "")) is not None


def is_signed_by_slack(secret: str, headers: Mapping[str, str], raw: bytes, now: float) -> bool:
    """True if Slack signed exactly this body, with a timestamp within 5 minutes of `now`."""
    if not has_plausible_signature(headers, now):
        return False
    base = b"v0:" + headers["X-Slack-Request-Timestamp"].encode() + b":" + raw
    expected = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Slack-Signature"])


def _closing_response(status: int) -> web.Response:
    """The response to an unsigned or incomplete request: the last one on its connection."""
    response = web.Response(status=status)
    response.force_close()
    return response


def parse_body(raw: bytes, content_type: str) -> Json:
    """The payload of an event (JSON), a command (a form) or an interaction (JSON in a form).

    Raises `InvalidPayload` for everything else.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidPayload("not UTF-8") from error
    if content_type == "application/json":
        body = _parse_object(text)
        if body.get("type") == "event_callback" and not isinstance(body.get("event"), dict):
            raise InvalidPayload("an event without an event")
        if not isinstance(body.get("type"), str):
            raise InvalidPayload("JSON without a type")
        return body
    if content_type != "application/x-www-form-urlencoded":
        raise InvalidPayload("neither JSON nor a form")
    try:
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise InvalidPayload("too many fields") from error
    if "payload" in form and "command" not in form:
        return _parse_object(form["payload"])
    if "command" in form or "ssl_check" in form:
        return {**form}
    raise InvalidPayload("a form without a command or payload")


def _parse_object(text: str) -> Json:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("not JSON") from error
    if not isinstance(value, dict):
        raise InvalidPayload("JSON, but not an object")
    if _is_too_deep(value):
        raise InvalidPayload("JSON nested too deep")
    return value


def _is_too_deep(value: Json) -> bool:
    """True if the payload is nested deeper than Slack's are: recursive readers would fail."""
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: object) -> Iterator[object]:
    """The objects and lists directly inside `value`."""
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    return (child for child in children if isinstance(child, dict | list))
