"""The operators' door, `/sandbox/…`: calls, faults, clock, reset, the app's settings, ephemerals.

Not a part of Slack. What makes no sense is answered with HTTP 400 and one plain sentence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from slack_emulator import app_config
from slack_emulator.app_config import BadSetting
from slack_emulator.backend import Slack
from slack_emulator.faults import SOCKET
from slack_emulator.interactions import responses
from slack_emulator.state.entities import Json, Refused
from slack_emulator.web.event_stream import Feed

MAX_ADVANCE: Final = 10 * 366 * 86_400.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Everything under `/sandbox/`, and the addresses that payloads carry along."""

    def __init__(self, slack: Slack, feed: Feed) -> None:
        self._slack = slack
        self._feed = feed

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.get("/sandbox/calls", self.calls),
            web.get("/sandbox/faults", self.list_faults),
            web.post("/sandbox/faults", plainly(self.set_fault)),
            web.delete("/sandbox/faults", self.clear_faults),
            web.get("/sandbox/clock", self.read_clock),
            web.post("/sandbox/clock", plainly(self.move_clock)),
            web.post("/sandbox/reset", self.reset),
            web.get("/sandbox/app", self.read_app),
            web.post("/sandbox/app", plainly(self.change_app)),
            web.get("/sandbox/ephemeral", self.ephemeral),
            web.get("/sandbox/feed", self._feed.handle),
            web.post("/response/{key}", self.respond),
        ]

    async def calls(self, request: web.Request) -> web.Response:
        """The app's calls, oldest first; `?method=` for those of one method."""
        return web.json_response(self._slack.journal.listed(request.query.get("method")))

    async def list_faults(self, request: web.Request) -> web.Response:
        """The faults that are still to come."""
        del request
        return web.json_response(self._slack.faults.listed())

    async def set_fault(self, request: web.Request) -> web.Response:
        """Set a fault."""
        fault = self._slack.faults.add(await _body(request))
        shown = fault.as_json()
        if fault.method == SOCKET:
            self._slack.sockets.trouble(fault)
        return web.json_response({"ok": True, "fault": shown})

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Take all faults away."""
        del request
        self._slack.faults.clear()
        return web.json_response({"ok": True})

    async def read_clock(self, request: web.Request) -> web.Response:
        """The sandbox's time."""
        del request
        return web.json_response({"ok": True, "now": self._slack.clock.now()})

    async def move_clock(self, request: web.Request) -> web.Response:
        """Move the clock forward by `advance` seconds."""
        seconds = (await _body(request)).get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise BadSetting('Send {"advance": seconds}.')
        if not math.isfinite(seconds) or not 0 <= seconds <= MAX_ADVANCE:
            raise BadSetting("The clock only goes forward, and not by more than ten years.")
        self._slack.clock.advance(seconds)
        self._feed.tell_all("clock", {"clock": self._slack.clock.now()})
        return web.json_response({"ok": True, "now": self._slack.clock.now()})

    async def reset(self, request: web.Request) -> web.Response:
        """Empty everything; connections stay."""
        del request
        await self._slack.reset()
        return web.json_response({"ok": True})

    async def read_app(self, request: web.Request) -> web.Response:
        """The app's settings, and how many Socket Mode connections it has open."""
        del request
        shown = {"ok": True, "connections": self._slack.sockets.open}
        return web.json_response(shown | self._slack.settings.as_json())

    async def change_app(self, request: web.Request) -> web.Response:
        """Change the app's settings; a new request URL must answer Slack's challenge first."""
        wanted = app_config.changed(self._slack.settings, await _body(request))
        if (
            wanted.request_url is not None
            and wanted.request_url != self._slack.settings.request_url
        ):
            await self._slack.http.verify(wanted.request_url)
        self._slack.settings = wanted
        self._feed.tell_all("app", {"app": wanted.profile()})
        return web.json_response({"ok": True} | wanted.as_json())

    async def ephemeral(self, request: web.Request) -> web.Response:
        """What only this person sees, newest last."""
        user = request.query.get("user", "")
        if user not in self._slack.workspace.users:
            return _sentence("Say which person: /sandbox/ephemeral?user=UALICE")
        seen = self._slack.workspace.ephemerals.get(user, [])
        return web.json_response([one.as_json() for one in seen])

    async def respond(self, request: web.Request) -> web.Response:
        """A response URL: not the operators' but the app's, by a secret address."""
        try:
            body: object = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400, text="invalid_payload")
        try:
            url = self._slack.triggers.use_response(request.match_info["key"])
            responses.answer(self._slack.workspace, url, body)
        except Refused as refused:
            gone = refused.code in ("expired_url", "used_url")
            answer = {"ok": False, "error": refused.code}
            return web.json_response(answer, status=404 if gone else 400)
        return web.Response(text="ok")


def plainly(handler: Handler) -> Handler:
    """Answer BadSetting with its sentence."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadSetting as bad:
            return _sentence(str(bad))

    return handle


def _sentence(text: str) -> web.Response:
    return web.json_response({"ok": False, "error": text}, status=400)


async def _body(request: web.Request) -> Json:
    try:
        body: object = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise BadSetting("Send a JSON object.") from None
    if not isinstance(body, dict):
        raise BadSetting("Send a JSON object.")
    return body
