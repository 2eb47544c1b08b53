"""Runs `threadpilot run` on a clock that is ten times as fast, so that an hour takes 6 minutes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

from bot.app import open_bot
from bot.cli.run import READY
from bot.config.settings import Settings, load_settings
from bot.logs import start_logging
from tests.fakes import QuickClock


class TenfoldClock(QuickClock):
    """A clock on which ten seconds pass in one."""

    speed = 10.0


async def serve(settings: Settings) -> None:
    """Run until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with open_bot(settings, clock=TenfoldClock()):
        print(READY, file=sys.stderr, flush=True)
        await stopped.wait()


def main(_: Sequence[str]) -> int:
    """Run the command with the settings of the environment; return its exit status."""
    settings = load_settings()
    start_logging(settings.log_level, settings.secrets)
    asyncio.run(serve(settings))
    return 0
