"""Serves the control API, `/sandbox/…`: calls, faults, clock, reset, app config, ephemerals.

It is not a part of Slack. An invalid request gets HTTP 400 and one plain sentence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from slack_emulator import app_config
from slack_emulator.app_config import InvalidAppConfig
from slack_emulator.backend import SlackBackend
from slack_emulator.faults import SOCKET
from slack_emulator.interactions import responses
from slack_emulator.state.entities import ApiError, Json
from slack_emulator.web.event_stream import EventStream

MAX_ADVANCE: Final = 10 * 366 * 86_400.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The handlers of all requests under `/sandbox/`, and of response URLs."""

    def __init__(self, slack: SlackBackend, event_stream: EventStream) -> None:
        self._slack = slack
        self._event_stream = event_stream

    def routes(self) -> list[web.RouteDef]:
        """The routes of these handlers."""
        return [
            web.get("/sandbox/calls", self.list_calls),
            web.get("/sandbox/faults", self.list_faults),
            web.post("/sandbox/faults", report_invalid_config(self.set_fault)),
            web.delete("/sandbox/faults", self.clear_faults),
            web.get("/sandbox/clock", self.read_clock),
            web.post("/sandbox/clock", report_invalid_config(self.advance_clock)),
            web.post("/sandbox/reset", self.reset),
            web.get("/sandbox/app", self.read_app),
            web.post("/sandbox/app", report_invalid_config(self.change_app)),
            web.get("/sandbox/ephemeral", self.list_ephemerals),
            web.get("/sandbox/feed", self._event_stream.handle),
            web.post("/response/{key}", self.use_response_url),
        ]

    async def list_calls(self, request: web.Request) -> web.Response:
        """The app's calls, oldest first; `?method=` selects those of one method."""
        return web.json_response(self._slack.call_log.list_calls(request.query.get("method")))

    async def list_faults(self, request: web.Request) -> web.Response:
        """The faults that are still due."""
        del request
        return web.json_response(self._slack.faults.list_faults())

    async def set_fault(self, request: web.Request) -> web.Response:
        """Set a fault."""
        fault = self._slack.faults.add(await _json_body(request))
        shown = fault.as_json()
        if fault.method == SOCKET:
            self._slack.socket_mode.apply_fault(fault)
        return web.json_response({"ok": True, "fault": shown})

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Remove all faults."""
        del request
        self._slack.faults.clear()
        return web.json_response({"ok": True})

    async def read_clock(self, request: web.Request) -> web.Response:
        """The emulator's time."""
        del request
        return web.json_response({"ok": True, "now": self._slack.clock.now()})

    async def advance_clock(self, request: web.Request) -> web.Response:
        """Advance the clock by `advance` seconds."""
        seconds = (await _json_body(request)).get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise InvalidAppConfig('Send {"advance": seconds}.')
        if not math.isfinite(seconds) or not 0 <= seconds <= MAX_ADVANCE:
            raise InvalidAppConfig("The clock only goes forward, and not by more than ten years.")
        self._slack.clock.advance(seconds)
        self._event_stream.broadcast("clock", {"clock": self._slack.clock.now()})
        return web.json_response({"ok": True, "now": self._slack.clock.now()})

    async def reset(self, request: web.Request) -> web.Response:
        """Restore the initial state; connections stay open."""
        del request
        await self._slack.reset()
        return web.json_response({"ok": True})

    async def read_app(self, request: web.Request) -> web.Response:
        """The app's configuration, and the number of its open Socket Mode connections."""
        del request
        shown = {"ok": True, "connections": self._slack.socket_mode.connection_count}
        return web.json_response(shown | self._slack.app_config.as_json())

    async def change_app(self, request: web.Request) -> web.Response:
        """Change the app's configuration; a new request URL must first answer Slack's challenge."""
        wanted = app_config.apply_changes(self._slack.app_config, await _json_body(request))
        if (
            wanted.request_url is not None
            and wanted.request_url != self._slack.app_config.request_url
        ):
            await self._slack.http_delivery.verify_url(wanted.request_url)
        self._slack.app_config = wanted
        self._event_stream.broadcast("app", {"app": wanted.profile()})
        return web.json_response({"ok": True} | wanted.as_json())

    async def list_ephemerals(self, request: web.Request) -> web.Response:
        """The ephemeral messages of one user, newest last."""
        user = request.query.get("user", "")
        if user not in self._slack.workspace.users:
            return _error_response("Name a user: /sandbox/ephemeral?user=UALICE")
        ephemerals = self._slack.workspace.ephemerals.get(user, [])
        return web.json_response([ephemeral.as_json() for ephemeral in ephemerals])

    async def use_response_url(self, request: web.Request) -> web.Response:
        """Apply the response that the app posts to a response URL. Its address is the secret."""
        try:
            body: object = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400, text="invalid_payload")
        try:
            url = self._slack.triggers.use_response_url(request.match_info["key"])
            responses.apply_response(self._slack.workspace, url, body)
        except ApiError as error:
            expired = error.code in ("expired_url", "used_url")
            answer = {"ok": False, "error": error.code}
            return web.json_response(answer, status=404 if expired else 400)
        return web.Response(text="ok")


def report_invalid_config(handler: Handler) -> Handler:
    """Wrap a handler so that InvalidAppConfig becomes an error response with its message."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except InvalidAppConfig as error:
            return _error_response(str(error))

    return handle


def _error_response(text: str) -> web.Response:
    return web.json_response({"ok": False, "error": text}, status=400)


async def _json_body(request: web.Request) -> Json:
    try:
        body: object = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise InvalidAppConfig("Send a JSON object.") from None
    if not isinstance(body, dict):
        raise InvalidAppConfig("Send a JSON object.")
    return body
