"""The running sandbox: one port on loopback for the Web API, Socket Mode, the page and its feed."""

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
FORBIDDEN_TEXT: Final = "This sandbox answers only to pages and programs of this machine.\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EmulatorError(Exception):
    """The sandbox cannot be started; the sentence says why, and what to do."""


class RunningEmulator:
    """A running sandbox: where it is, and what is inside."""

    def __init__(self, slack: SlackBackend, url: str) -> None:
        self.slack = slack
        self.url = url
        """Such as http://127.0.0.1:8787; the page is there."""
        self.api_url = f"{url}/api/"
        """What an app's SLACK_API_URL is set to."""


@web.middleware
async def _reject_foreign_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site, open in the same browser, must not get at the sandbox."""
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
    """Everything that the port answers."""
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
    """A sandbox on this port of this machine, any free one by default, until left.

    `notice` is a plain text at the top of the page. SandboxError where it cannot be started.
    """
    if not is_loopback(host):
        raise EmulatorError(
            f"The sandbox has no real secrets, so it listens on this machine only, not on {host}. "
            "Use 127.0.0.1."
        )
    slack = SlackBackend(clock, notice)
    feed = EventStream(slack)
    runner = web.AppRunner(
        build_application(slack, feed), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    try:
        await runner.setup()
        url = await _listen(runner, host, port)
        slack.workspace.url = url
        yield RunningEmulator(slack, url)
    finally:
        feed.close()
        await slack.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise EmulatorError(
                f"The sandbox cannot listen on port {port}: {error.strerror}."
            ) from None
        raise EmulatorError(
            f"Port {port} is in use: end the program that has it, or choose another with --port."
        ) from None
    bound = int(runner.addresses[0][1])
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound}"
