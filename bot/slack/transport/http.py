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
from slack_bolt.response import BoltResponse

from bot.errors import SettingsError
from bot.http_server import Bounds, serving
from bot.logs import Seldom
from bot.ports import Clock
from bot.slack.receiver import Intake
from bot.slack.transport.replay_guard import Known, Replays
from bot.slack.transport.request_body import Bodies, NoRoom

log = logging.getLogger(__name__)
http_log = logging.getLogger(f"{__name__}.aiohttp")


class _WithoutWords(logging.Filter):
    """Keeps aiohttp's log to the kind of trouble that there was: of what is no HTTP it would print
    the lines that came, and anybody may send those, as often as they like."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        record.msg = "a request could not be handled: %s"
        record.args = (kind.__name__ if kind else "no reason given",)
        record.exc_info = record.exc_text = None
        if kind is not None and issubclass(kind, HttpProcessingError | web.RequestPayloadError):
            # Whoever sent it is at fault, and not the door.
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            return self._seldom.may(kind.__name__)
        return True


http_log.addFilter(_WithoutWords())

MAX_BODY: Final = 4 << 20
"""Bytes. A button's payload carries the whole message that it stands in, so 1 MiB is too little."""

MAX_BODIES: Final = 32 << 20
"""Bytes of all bodies that are here at once, beyond 64 KiB of each."""

BOUNDS: Final = Bounds(connections=128)
"""Slack delivers at most about 8 requests a second (30,000/h), each of which takes 10 s at most."""

MAX_DEPTH: Final = 64
"""How deep a payload may be nested; Slack's own are nested less than half as deep."""

_STAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_FRESH_SECONDS: Final = 300  # docs.slack.dev/authentication/verifying-requests-from-slack
_BODY_SECONDS: Final = 10.0
_READY_SECONDS: Final = 5.0

Json = dict[str, object]


class NotSlacks(ValueError):
    """The body is nothing that Slack sends."""


@dataclass(slots=True, kw_only=True)
class SignedHttp:
    """The door: `bot.slack.receiver.Door` over HTTP."""

    signing_secret: str = field(repr=False)
    clock: Clock
    ready: Callable[[], Awaitable[bool]]
    host: str = "127.0.0.1"
    port: int = 3000
    """Where it listens; with 0 the system chooses, and this is the chosen one once open."""
    bounds: Bounds = BOUNDS
    max_bodies: int = MAX_BODIES
    _seldom: Seldom = field(default_factory=Seldom, init=False, repr=False)
    _replays: Replays = field(default_factory=partial(Replays, _FRESH_SECONDS), init=False)

    def __post_init__(self) -> None:
        if not self.signing_secret.strip():
            raise SettingsError(
                ["SLACK_SIGNING_SECRET is empty: copy it from Basic Information of your Slack app."]
            )

    @asynccontextmanager
    async def open(self, intake: Intake, heard: Callable[[bool], None]) -> AsyncIterator[None]:
        """Serve while entered. Raises `SettingsError` when the address cannot be had."""
        served = serving(
            *(self._site(intake), self.host, self.port),
            setting="HTTP",
            bounds=self.bounds,
            logger=http_log,
        )
        async with served as self.port:
            heard(True)
            yield

    def _site(self, intake: Intake) -> web.Application:
        bodies = Bodies(MAX_BODY, self.max_bodies)

        async def said(request: web.Request) -> web.Response:
            return await self._said(intake, bodies, request)

        site = web.Application(client_max_size=MAX_BODY)
        site.router.add_post("/slack/events", said)
        site.router.add_get("/healthz", _alive)
        site.router.add_get("/readyz", self._readiness)
        site.on_response_prepare.append(_without_versions)
        return site

    async def _said(self, intake: Intake, bodies: Bodies, request: web.Request) -> web.Response:
        if not may_be_slacks(request.headers, self.clock.now()):
            return self._not_signed()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await bodies.read(request)
        except TimeoutError:
            return _closing(408)
        except NoRoom:
            self._tell("too many large requests are here; one is left for Slack to repeat")
            return _closing(503)
        except (web.RequestPayloadError, ConnectionError):
            return _closing(400)  # not compressed as it says; or they have gone
        try:
            return await self._heard(intake, request, body.raw)
        finally:
            bodies.leave(body)

    async def _heard(self, intake: Intake, request: web.Request, raw: bytes) -> web.Response:
        """The answer to a request that is all here."""
        if not signed_by_slack(self.signing_secret, request.headers, raw, self.clock.now()):
            return self._not_signed()
        signature = request.headers.get("X-Slack-Signature", "")
        match self._replays.begin(signature, self.clock.now()):
            case Known.TAKEN:
                log.warning("a signed request that was taken came again, and is left alone")
                return web.Response(status=200)
            case Known.UNDER_WAY:
                log.warning("a signed request came again while it was being taken")
                return web.Response(status=503)
        taken = False
        try:
            answer = await self._taken(intake, request, raw)
            taken = answer.status == 200
        finally:
            self._replays.end(signature, self.clock.now(), taken=taken)
        return answer

    async def _taken(self, intake: Intake, request: web.Request, raw: bytes) -> web.Response:
        """The answer to what Slack has signed."""
        try:
            body = read_body(raw, request.content_type)
        except NotSlacks as fault:
            log.warning("a signed request makes no sense: %s", fault)
            return web.Response(status=400)
        retries = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith("x-slack-retry-") and value
        }
        return _as_http(await intake.deliver(body, retries))

    def _not_signed(self) -> web.Response:
        self._tell("a request that Slack did not sign was turned away")
        return _closing(401)

    def _tell(self, sentence: str) -> None:
        if self._seldom.may(sentence):
            log.warning(sentence)

    async def _readiness(self, _: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                ready = await self.ready()
        except Exception:
            log.exception("the check for readiness failed")
            ready = False
        return web.json_response({"ready": ready}, status=200 if ready else 503)


async def _without_versions(_: web.Request, answer: web.StreamResponse) -> None:
    """What serves here, and in which version, is nobody's business."""
    answer.headers.pop("Server", None)


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


def may_be_slacks(headers: Mapping[str, str], now: float) -> bool:
    """Whether there are a time within the last 5 minutes and what looks like a signature."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not _STAMP.fullmatch(stamp) or abs(now - int(stamp)) > _FRESH_SECONDS:
        return False
    return _SIGNATURE.fullmatch(headers.get("X-Slack-Signature", "")) is not None


def signed_by_slack(secret: str, headers: Mapping[str, str], raw: bytes, now: float) -> bool:
    """Whether Slack signed exactly this body, within the last 5 minutes."""
    if not may_be_slacks(headers, now):
        return False
    base = b"v0:" + headers["X-Slack-Request-Timestamp"].encode() + b":" + raw
    right = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right, headers["X-Slack-Signature"])


def _closing(status: int) -> web.Response:
    """The answer to what is not Slack's, or did not come whole: the last on its connection."""
    answer = web.Response(status=status)
    answer.force_close()
    return answer


def read_body(raw: bytes, content_type: str) -> Json:
    """The payload of an event (JSON), a command (a form) or an interaction (JSON in a form).

    Raises `NotSlacks` for everything else.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NotSlacks("not UTF-8") from error
    if content_type == "application/json":
        body = _object(text)
        if body.get("type") == "event_callback" and not isinstance(body.get("event"), dict):
            raise NotSlacks("an event without an event")
        if not isinstance(body.get("type"), str):
            raise NotSlacks("JSON without a type")
        return body
    if content_type != "application/x-www-form-urlencoded":
        raise NotSlacks("neither JSON nor a form")
    try:
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise NotSlacks("too many fields") from error
    if "payload" in form and "command" not in form:
        return _object(form["payload"])
    if "command" in form or "ssl_check" in form:
        return {**form}
    raise NotSlacks("a form without a command or payload")


def _object(text: str) -> Json:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotSlacks("not JSON") from error
    if not isinstance(value, dict):
        raise NotSlacks("JSON, but not an object")
    if _is_deep(value):
        raise NotSlacks("JSON nested too deep")
    return value


def _is_deep(value: Json) -> bool:
    """Whether a payload is nested deeper than Slack's are: whoever reads it by calling itself
    would stumble."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterator[object]:
    """The objects and lists right inside of one."""
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    return (child for child in children if isinstance(child, dict | list))


def _as_http(answer: BoltResponse) -> web.Response:
    is_json = answer.body.startswith("{")
    return web.Response(
        status=answer.status,
        text=answer.body,
        content_type="application/json" if is_json else "text/plain",
    )
