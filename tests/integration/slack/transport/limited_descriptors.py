"""Both doors in a process of its own that may have few descriptors, and does with them as it is
told: `take` takes all that are left, `release` gives them back. Run by `test_http_bounds`."""

from __future__ import annotations

import asyncio
import os
import resource
import sys

from prometheus_client import CollectorRegistry

from bot.cli.run import run
from bot.http_server import ServerLimits
from bot.slack.transport.http import HttpTransport
from bot.tasks import BackgroundTasks
from bot.telemetry.server import TelemetryServer
from tests.fakes import ManualClock
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for

FEW = 64
"""Descriptors."""


async def _ready() -> bool:
    return True


async def serve() -> None:
    """Serve until standard input ends; the ports and what was done are told line by line."""
    many = ServerLimits(max_connections=10 * FEW)
    door = HttpTransport(
        signing_secret="sandbox-signing-secret",
        clock=ManualClock(),
        check_ready=_ready,
        port=0,
        limits=many,
    )
    site = TelemetryServer(CollectorRegistry(), many)
    held: list[int] = []
    async with (
        door.open(event_receiver_for(RecordingReceiver(), BackgroundTasks()), lambda _: None),
        site.serve("127.0.0.1", 0),
    ):
        print(door.port, site.port, flush=True)
        while order := await asyncio.to_thread(sys.stdin.readline):
            if order.strip() == "take":
                take(held)
            while held and order.strip() == "release":
                os.close(held.pop())
            print("done", flush=True)


def take(held: list[int]) -> None:
    """Take every descriptor that there is."""
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
    run(serve())
