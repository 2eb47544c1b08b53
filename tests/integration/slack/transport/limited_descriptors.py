"""Runs both HTTP servers in a process with few descriptors, for `test_http_limits`.

On `take` it takes all descriptors that are left, on `release` it frees them."""

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
"""Number of descriptors of the process."""


async def _ready() -> bool:
    return True


async def serve() -> None:
    """Serve until standard input ends; ports and finished commands are printed line by line."""
    many = ServerLimits(max_connections=10 * FEW)
    transport = HttpTransport(
        signing_secret="sandbox-signing-secret",
        clock=ManualClock(),
        check_ready=_ready,
        port=0,
        limits=many,
    )
    site = TelemetryServer(CollectorRegistry(), many)
    held: list[int] = []
    async with (
        transport.open(event_receiver_for(RecordingReceiver(), BackgroundTasks()), lambda _: None),
        site.serve("127.0.0.1", 0),
    ):
        print(transport.port, site.port, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == "take":
                take(held)
            while held and line.strip() == "release":
                os.close(held.pop())
            print("done", flush=True)


def take(held: list[int]) -> None:
    """Take all free descriptors."""
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
    run(serve())
