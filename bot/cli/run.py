"""Runs the bot for `threadpilot run`, until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, TypeVar

from bot.clock import SystemClock
from bot.config.settings import Settings
from bot.logs import announce
from bot.services import Services, open_services

if TYPE_CHECKING:
    from bot.app import Bot

log = logging.getLogger(__name__)

CLOSE_SECONDS = 30.0
"""Timeout for closing, in seconds, after the time that running turns have to finish. Every part
closes within seconds. This bounds the sum when Slack, the runtime and the disk all hang."""

READY = "threadpilot is ready: it hears Slack"


async def serve(settings: Settings) -> None:
    """Run the bot until SIGTERM or Ctrl-C, which also cancel a start.

    A start waits while Slack, the runtime or the database have a transient error. Raises `BotError`
    if the bot cannot start.
    """
    started, stop_requested = asyncio.Event(), asyncio.Event()
    bot_task = asyncio.create_task(_run_until(stop_requested, started, settings))
    late: list[threading.Timer] = []

    def stop() -> None:
        if stop_requested.is_set():
            return
        stop_requested.set()
        late.append(force_exit_after(settings.shutdown_seconds + CLOSE_SECONDS))
        if not started.is_set():
            bot_task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        with suppress(asyncio.CancelledError):
            await bot_task
    finally:
        for timer in late:
            timer.cancel()


async def _run_until(
    stop_requested: asyncio.Event, started: asyncio.Event, settings: Settings
) -> None:
    async with open_services(settings, SystemClock()) as engine:
        # In parallel with the start of the runtime, which is its own process.
        running_on = await asyncio.to_thread(_import_app)
        async with running_on(engine):
            started.set()
            gc.freeze()  # the objects that exist by now live until the end
            gc.enable()
            announce(log, READY, settings.log_format)
            await stop_requested.wait()
            log.info("bot stopping: finishing running turns")


def _import_app() -> Callable[[Services], AbstractAsyncContextManager[Bot]]:
    """Import `bot.app`, which takes a while. Returns its `open_bot_on`."""
    from bot.app import open_bot_on

    return open_bot_on


def force_exit_after(seconds: float) -> threading.Timer:
    """End the process after a number of seconds, even if it hangs.

    Unfinished work is stored, and the next start continues it, as after a crash.
    """

    def end() -> None:
        log.error("shutdown timed out, the next start continues: seconds=%g", seconds)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine like `asyncio.run`, on a loop from `new_loop`."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def new_loop() -> asyncio.AbstractEventLoop:
    """A new event loop: uvloop's, or asyncio's on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # imported late: other commands run no loop

    return uvloop.new_event_loop()
