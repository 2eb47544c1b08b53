"""The way in by signed HTTP: Slack calls the bot, and proves with a signature that it is Slack.

`POST /slack/events` takes events, commands and interactions; `GET /healthz` says that the process
lives, `GET /readyz` that it can do its work. Statuses: 200 taken, 400 not something Slack sends,
401 not signed by Slack, 405 wrong method, 408 too slow, 413 too large, 503 not taken: Slack, please
repeat. What no signature of Slack's can be is refused by its headers: its body is not read.
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
    """Keeps aiohttp's log to the kind of trouble that there was: of what is no HTTP it would print
    the lines that came, and anybody may send those, as often as they like."""

    def __init__(self) -> None:
        super().__init__()
        self._throttle = LogThrottle()

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        record.msg = "a request could not be handled: %s"
        record.args = (kind.__name__ if kind else "no reason given",)
        record.exc_info = record.exc_text = None
        if kind is not None and issubclass(kind, HttpProcessingError | web.RequestPayloadError):
            # Whoever sent it is at fault, and not the door.
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            return self._throttle.allow(kind.__name__)
        return True


http_log.addFilter(_ErrorKindFilter())

MAX_BODY_BYTES: Final = 4 << 20
"""Bytes. A button's payload carries the whole message that it stands in, so 1 MiB is too little."""

MAX_TOTAL_BODY_BYTES: Final = 32 << 20
"""Bytes of all bodies that are here at once, beyond 64 KiB of each."""

SERVER_LIMITS: Final = ServerLimits(max_connections=128)
"""Slack delivers at most about 8 requests a second (30,000/h), each of which takes 10 s at most."""

MAX_JSON_DEPTH: Final = 64
"""How deep a payload may be nested; Slack's own are nested less than half as deep."""

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_SIGNATURE_VALID_SECONDS: Final = 300  # docs.slack.dev/authentication/verifying-requests-from-slack
_BODY_READ_SECONDS: Final = 10.0
_READY_SECONDS: Final = 5.0

Json = dict[str, object]


class InvalidPayload(ValueError):
    """The body is nothing that Slack sends."""


@dataclass(slots=True, kw_only=True)
class HttpTransport:
    """The door: `bot.slack.receiver.Door` over HTTP."""

    signing_secret: str = field(repr=False)
    clock: Clock
    check_ready: Callable[[], Awaitable[bool]]
    host: str = "127.0.0.1"
    port: int = 3000
    """Where it listens; with 0 the system chooses, and this is the chosen one once open."""
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
        """Serve while entered. Raises `SettingsError` when the address cannot be had."""
        served = serve_http(
            *(self._build_app(receiver), self.host, self.port),
            setting_prefix="HTTP",
            limits=self.limits,
            logger=http_log,
        )
        async with served as self.port:
            on_connection_change(True)
            yield

    def _build_app(self, receiver: EventReceiver) -> web.Application:
        bodies = RequestBodies(MAX_BODY_BYTES, self.max_total_body_bytes)

        async def said(request: web.Request) -> web.Response:
            return await self._handle_post(receiver, bodies, request)

        site = web.Application(client_max_size=MAX_BODY_BYTES)
        site.router.add_post("/slack/events", said)
        add_health_routes(site, self.check_ready, _READY_SECONDS)
        site.on_response_prepare.append(_strip_server_header)
        return site

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
                "too many large requests are here; one is left for Slack to repeat"
            )
            return _closing_response(503)
        except (web.RequestPayloadError, ConnectionError):
            return _closing_response(400)  # not compressed as it says; or they have gone
        try:
            return await self._verify_and_deliver(receiver, request, body.raw)
        finally:
            bodies.release(body)

    async def _verify_and_deliver(
        self, receiver: EventReceiver, request: web.Request, raw: bytes
    ) -> web.Response:
        """The answer to a request that is all here."""
        if not is_signed_by_slack(self.signing_secret, request.headers, raw, self.clock.now()):
            return self._reject_unsigned()
        signature = request.headers.get("X-Slack-Signature", "")
        match self._replay_guard.start_request(signature, self.clock.now()):
            case SeenState.ACCEPTED:
                log.warning("a signed request that was taken came again, and is left alone")
                return web.Response(status=200)
            case SeenState.IN_PROGRESS:
                log.warning("a signed request came again while it was being taken")
                return web.Response(status=503)
        taken = False
        try:
            answer = await self._deliver(receiver, request, raw)
            taken = answer.status == 200
        finally:
            self._replay_guard.finish_request(signature, self.clock.now(), accepted=taken)
        return answer

    async def _deliver(
        self, receiver: EventReceiver, request: web.Request, raw: bytes
    ) -> web.Response:
        """The answer to what Slack has signed."""
        try:
            body = parse_body(raw, request.content_type)
        except InvalidPayload as fault:
            log.warning("a signed request makes no sense: %s", fault)
            return web.Response(status=400)
        retries = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith("x-slack-retry-") and value
        }
        return await to_aiohttp_response(await receiver.deliver(body, retries))

    def _reject_unsigned(self) -> web.Response:
        self._warn_throttled("a request that Slack did not sign was turned away")
        return _closing_response(401)

    def _warn_throttled(self, message: str) -> None:
        if self._throttle.allow(message):
            log.warning(message)


async def _strip_server_header(_: web.Request, answer: web.StreamResponse) -> None:
    """What serves here, and in which version, is nobody's business."""
    answer.headers.pop("Server", None)


def has_plausible_signature(headers: Mapping[str, str], now: float) -> bool:
    """Whether there are a time within the last 5 minutes and what looks like a signature."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not _TIMESTAMP.fullmatch(stamp) or abs(now - int(stamp)) > _SIGNATURE_VALID_SECONDS:
        return False
    return _SIGNATURE.fullmatch(headers.get("X-Slack-Signature", "")) is not None


def is_signed_by_slack(secret: str, headers: Mapping[str, str], raw: bytes, now: float) -> bool:
    """Whether Slack signed exactly this body, within the last 5 minutes."""
    if not has_plausible_signature(headers, now):
        return False
    base = b"v0:" + headers["X-Slack-Request-Timestamp"].encode() + b":" + raw
    right = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right, headers["X-Slack-Signature"])


def _closing_response(status: int) -> web.Response:
    """The answer to what is not Slack's, or did not come whole: the last on its connection."""
    answer = web.Response(status=status)
    answer.force_close()
    return answer


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
    """Whether a payload is nested deeper than Slack's are: whoever reads it by calling itself
    would stumble."""
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: object) -> Iterator[object]:
    """The objects and lists right inside of one."""
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    return (child for child in children if isinstance(child, dict | list))
