"""`threadpilot run`: the bot until it is asked to stop."""

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
"""How long closing may take in all, beside the time that running turns get to finish. Every part
ends within seconds by itself; this holds the sum when Slack, the runtime and the disk all hang."""

READY = "threadpilot is ready: it hears Slack"


async def serve(settings: Settings) -> None:
    """Run the bot until SIGTERM or Ctrl-C; while it is still starting, they cut that short.

    It waits for Slack, the runtime and the database while they are in passing trouble. Raises
    `BotError` when it cannot start.
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
        # While the runtime starts, which is a process of its own.
        running_on = await asyncio.to_thread(_import_app)
        async with running_on(engine):
            started.set()
            gc.freeze()  # nothing of what there is by now goes before the end
            gc.enable()
            announce(log, READY, settings.log_format)
            await stop_requested.wait()
            log.info("asked to stop: finishing what runs")


def _import_app() -> Callable[[Services], AbstractAsyncContextManager[Bot]]:
    """All that hears and answers, which takes a while to import."""
    from bot.app import open_bot_on

    return open_bot_on


def force_exit_after(seconds: float) -> threading.Timer:
    """End the process after so many seconds, whatever it waits for: what it has not brought to its
    end is on record, and the next start does, as after a crash."""

    def end() -> None:
        log.error("not everything could be closed within %g s; the next start takes it up", seconds)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """Like `asyncio.run`."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that runs nothing yet."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # beside the point for commands that never run a loop

    return uvloop.new_event_loop()
