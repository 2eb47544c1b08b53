"""Runs the emulator on its own until it is stopped: `python -m slack_emulator --port N`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from slack_emulator.server import EmulatorError, RunningEmulator, running_emulator
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET

DEFAULT_PORT = 8787


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit code: 1 if the emulator cannot start, 2 for
    wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="threadpilot emulator", description="A Slack workspace on this machine."
    )
    parser.add_argument("--port", type=_parse_port, default=DEFAULT_PORT, help="default: 8787")
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine")
    parser.add_argument("--notice", default="", help="a text for the top of the page")
    try:
        options = parser.parse_args(argv)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    try:
        asyncio.run(_run(options.host, options.port, options.notice))
    except EmulatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _run(host: str, port: int, notice: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with running_emulator(port=port, host=host, notice=notice) as emulator:
        print(_welcome(emulator), flush=True)
        await stop.wait()


def _welcome(emulator: RunningEmulator) -> str:
    return (
        f"The Slack emulator is at {emulator.url}\n"
        f"An app connects with SLACK_API_URL={emulator.api_url} SLACK_BOT_TOKEN={BOT_TOKEN} "
        f"SLACK_APP_TOKEN={APP_TOKEN} SLACK_SIGNING_SECRET={SIGNING_SECRET}"
    )


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError("must be a port from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
