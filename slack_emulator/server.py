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
from slack_emulator.backend import Slack
from slack_emulator.control import Control
from slack_emulator.state.clock import BaseClock
from slack_emulator.web import static
from slack_emulator.web.event_stream import Feed
from slack_emulator.web.uploads import Uploads

MAX_BODY: Final = 16 << 20
SHUTDOWN_SECONDS: Final = 2.0
FOREIGN: Final = "This sandbox answers only to pages and programs of this machine.\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SandboxError(Exception):
    """The sandbox cannot be started; the sentence says why, and what to do."""


class Sandbox:
    """A running sandbox: where it is, and what is inside."""

    def __init__(self, slack: Slack, url: str) -> None:
        self.slack = slack
        self.url = url
        """Such as http://127.0.0.1:8787; the page is there."""
        self.api_url = f"{url}/api/"
        """What an app's SLACK_API_URL is set to."""


@web.middleware
async def _only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site, open in the same browser, must not get at the sandbox."""
    origin = request.headers.get("Origin")
    if not is_loopback(_hostname(request.host)):
        return web.Response(status=403, text=FOREIGN)
    if origin not in (None, f"http://{request.host}"):
        return web.Response(status=403, text=FOREIGN)
    return await handler(request)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def application(slack: Slack, feed: Feed) -> web.Application:
    """Everything that the port answers."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_only_from_here])
    api = WebApi(slack)
    app.add_routes(
        [
            web.route("*", "/api/{method}", api.handle),
            web.get("/link/", slack.sockets.connect),
            *Control(slack, feed).routes(),
            *Uploads(slack).routes(),
            *static.routes(),
        ]
    )
    return app


@asynccontextmanager
async def running_sandbox(
    port: int = 0,
    clock: BaseClock | None = None,
    host: str = "127.0.0.1",
    notice: str = "",
) -> AsyncIterator[Sandbox]:
    """A sandbox on this port of this machine, any free one by default, until left.

    `notice` is a plain text at the top of the page. SandboxError where it cannot be started.
    """
    if not is_loopback(host):
        raise SandboxError(
            f"The sandbox has no real secrets, so it listens on this machine only, not on {host}. "
            "Use 127.0.0.1."
        )
    slack = Slack(clock, notice)
    feed = Feed(slack)
    runner = web.AppRunner(
        application(slack, feed), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    try:
        await runner.setup()
        url = await _listen(runner, host, port)
        slack.workspace.url = url
        yield Sandbox(slack, url)
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
            raise SandboxError(
                f"The sandbox cannot listen on port {port}: {error.strerror}."
            ) from None
        raise SandboxError(
            f"Port {port} is in use: end the program that has it, or choose another with --port."
        ) from None
    bound = int(runner.addresses[0][1])
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound}"
