"""`threadpilot run`: the bot until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress

from bot.app import running
from bot.config import Settings

log = logging.getLogger(__name__)

READY = "threadpilot is ready: it hears Slack"


async def serve(settings: Settings) -> None:
    """Run the bot until SIGTERM or Ctrl-C; while it is still starting, they cut that short.

    Raises `BotError` when it cannot start.
    """
    up, asked = asyncio.Event(), asyncio.Event()
    bot = asyncio.create_task(_until(asked, up, settings))

    def stop() -> None:
        if not asked.is_set() and not up.is_set():
            bot.cancel()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await bot


async def _until(asked: asyncio.Event, up: asyncio.Event, settings: Settings) -> None:
    async with running(settings):
        up.set()
        print(READY, file=sys.stderr, flush=True)
        await asked.wait()
        log.info("asked to stop: finishing what runs")
