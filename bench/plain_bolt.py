"""Runs an app on plain Bolt that only acknowledges events: the baseline for receiving events.

It uses Bolt for Python as its documentation shows, with every default: signed HTTP by Bolt's own
aiohttp server, or Socket Mode by its own handler. Started as

    python -m bench.plain_bolt http http://127.0.0.1:…/api/
    python -m bench.plain_bolt socket http://127.0.0.1:…/api/

it prints one line when it is connected to Slack; with HTTP, its address is in the line.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET

READY: Final = "plain Bolt is connected to Slack at "
PATH: Final = "/slack/events"


def the_app(api_url: str) -> AsyncApp:
    """An app that acknowledges messages and mentions and does nothing else."""
    app = AsyncApp(
        token=BOT_TOKEN,
        signing_secret=SIGNING_SECRET,
        client=AsyncWebClient(token=BOT_TOKEN, base_url=api_url),
    )

    async def taken() -> None:
        """Do nothing: Bolt has acknowledged the event."""

    app.event("message")(taken)
    app.event("app_mention")(taken)
    return app


async def _serve_http(app: AsyncApp) -> None:
    """Serve as `AsyncApp.start` does, on a port that the system chooses."""
    runner = web.AppRunner(app.web_app(path=PATH))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _say(f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}")
    await asyncio.Event().wait()


async def _serve_socket(app: AsyncApp) -> None:
    handler, greeted = AsyncSocketModeHandler(app, APP_TOKEN), asyncio.Event()

    async def on_message(_: object, message: dict[str, object], __: str | None) -> None:
        if message.get("type") == "hello":
            greeted.set()

    handler.client.message_listeners.append(on_message)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's is untyped
    await greeted.wait()
    _say("its WebSocket")
    await asyncio.Event().wait()


def _say(address: str) -> None:
    sys.stdout.write(f"{READY}{address}\n")
    sys.stdout.flush()


async def _serve(way: str, api_url: str) -> None:
    app = the_app(api_url)
    await (_serve_http(app) if way == "http" else _serve_socket(app))


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
