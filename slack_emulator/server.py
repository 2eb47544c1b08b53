"""Runs the emulator: one port on loopback for the Web API, Socket Mode, the page and its events."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from slack_emulator.api.server import WebApi
from slack_emulator.app_config import is_loopback
from slack_emulator.backend import SlackBackend
from slack_emulator.control import Control
from slack_emulator.state.clock import BaseClock
from slack_emulator.web import static
from slack_emulator.web.event_stream import EventStream
from slack_emulator.web.uploads import Uploads

MAX_BODY_BYTES: Final = 16 << 20
SHUTDOWN_SECONDS: Final = 2.0
FORBIDDEN_TEXT: Final = "This Slack emulator answers only to pages and programs of this machine.\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EmulatorError(Exception):
    """The emulator cannot start; the message says why, and what to do."""


class RunningEmulator:
    """A running emulator: its addresses and its state."""

    def __init__(self, slack: SlackBackend, url: str) -> None:
        self.slack = slack
        self.url = url
        """Address of the page, such as http://127.0.0.1:8787."""
        self.api_url = f"{url}/api/"
        """The value for an app's SLACK_API_URL."""


@web.middleware
async def _reject_foreign_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests of other sites that are open in the same browser."""
    origin = request.headers.get("Origin")
    if not is_loopback(_hostname(request.host)):
        return web.Response(status=403, text=FORBIDDEN_TEXT)
    if origin not in (None, f"http://{request.host}"):
        return web.Response(status=403, text=FORBIDDEN_TEXT)
    return await handler(request)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def build_application(slack: SlackBackend, event_stream: EventStream) -> web.Application:
    """The application with all routes of the port."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_reject_foreign_requests])
    api = WebApi(slack)
    app.add_routes(
        [
            web.route("*", "/api/{method}", api.handle),
            web.get("/link/", slack.socket_mode.connect),
            *Control(slack, event_stream).routes(),
            *Uploads(slack).routes(),
            *static.routes(),
        ]
    )
    return app


@asynccontextmanager
async def running_emulator(
    port: int = 0,
    clock: BaseClock | None = None,
    host: str = "127.0.0.1",
    notice: str = "",
) -> AsyncIterator[RunningEmulator]:
    """Run an emulator on this port of this machine until the context ends. Port 0 means any free
    one.

    `notice` is a plain text at the top of the page. Raises EmulatorError if it cannot start.
    """
    if not is_loopback(host):
        raise EmulatorError(
            f"The emulator has no real secrets, so it listens on this machine only, not on {host}. "
            "Use 127.0.0.1."
        )
    slack = SlackBackend(clock, notice)
    event_stream = EventStream(slack)
    runner = web.AppRunner(
        build_application(slack, event_stream), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    try:
        await runner.setup()
        url = await _listen(runner, host, port)
        slack.workspace.url = url
        yield RunningEmulator(slack, url)
    finally:
        event_stream.close()
        await slack.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise EmulatorError(
                f"The emulator cannot listen on port {port}: {error.strerror}."
            ) from None
        raise EmulatorError(
            f"Port {port} is in use: end the program that has it, or choose another with --port."
        ) from None
    bound = int(runner.addresses[0][1])
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound}"
